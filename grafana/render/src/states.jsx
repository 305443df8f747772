// State timelines. Grafana keeps its own outside of the published packages, so this one is ours, in its colours.
import { dateTime } from '@grafana/data';
import { Nothing } from './nothing.jsx';

const AXIS = 18;
const SIGN = 6.4;

function runs(points, until, step) {
  const found = [];
  for (const [at, value] of points) {
    const open = found.at(-1);
    if (open && open.value === value && at - open.to <= step * 1.5) {
      open.to = at;
    } else {
      found.push({ value, from: at, to: at });
    }
  }
  return found.map((run) => ({ ...run, to: Math.min(run.to + step, until) }));
}

function Axis({ input, x, y, width, theme }) {
  const day = 24 * 3600 * 1000;
  const step = Math.max(1, Math.ceil((input.to - input.from) / day / (width / 60))) * day;
  const first = Math.ceil(input.from / day) * day;
  const ticks = [];
  for (let at = first; at < input.to; at += step) {
    ticks.push(at);
  }
  return ticks.map((at) => (
    <text key={at} x={x(at)} y={y} fill={theme.colors.text.secondary} textAnchor="middle">
      {dateTime(at).utc().format('MM-DD')}
    </text>
  ));
}

export function States({ panel, answers, input, width, height }) {
  const series = answers.flatMap((answer) => answer.series ?? []);
  if (!series.length) {
    return <Nothing panel={panel} />;
  }
  const theme = input.look;
  const words = panel.fieldConfig.defaults.mappings[0].options;
  const paint = (value) => theme.visualization.getColorByName(words[String(value)]?.color ?? 'gray');
  const inner = height - 24;
  const line = (inner - AXIS) / series.length;
  const labels = 16 + SIGN * Math.max(...series.map(({ name }) => name.length));
  const x = (at) => labels + ((at - input.from) / (input.to - input.from)) * (width - labels);
  return (
    <div className="states">
      <svg width={width} height={inner}>
        {series.map(({ name, points, step }, row) => (
          <g key={name}>
            <text x={labels - 8} y={row * line + line / 2 + 4} textAnchor="end" fill={theme.colors.text.primary}>
              {name}
            </text>
            {runs(points, input.to, step).map(({ value, from, to }) => (
              <rect key={from} x={x(from)} y={row * line + line * 0.1} width={Math.max(1, x(to) - x(from))} height={line * 0.8} fill={paint(value)} />
            ))}
          </g>
        ))}
        <Axis input={input} x={x} y={inner - 4} width={width - labels} theme={theme} />
      </svg>
      <div className="keys">
        {Object.entries(words).map(([value, { text }]) => (
          <span key={value}>
            <i style={{ background: paint(value) }} />
            {text}
          </span>
        ))}
      </div>
    </div>
  );
}
