// The alert list: what fires at the end of the span, worst first.
import { dateTime } from '@grafana/data';
import { Nothing } from './nothing.jsx';

const ORDER = ['critical', 'warning', 'info'];
const COLOURS = { critical: 'red', warning: 'orange', info: 'blue' };

export function AlertList({ panel, answers, input }) {
  const firing = answers.flatMap((answer) => answer.alerts ?? []);
  if (!firing.length) {
    return <Nothing panel={panel} />;
  }
  const worst = firing.toSorted((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity) || a.since - b.since);
  return (
    <div className="alerts">
      {worst.map(({ name, severity, since }) => (
        <div key={name}>
          <i style={{ background: input.look.visualization.getColorByName(COLOURS[severity] ?? 'gray') }} />
          <b>{name}</b>
          <small>{severity}</small>
          <small>{`since ${dateTime(since).utc().format('MM-DD HH:mm')}`}</small>
        </div>
      ))}
    </div>
  );
}
