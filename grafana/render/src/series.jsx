// Graphs over time, by Grafana's TimeSeries; annotations are drawn behind the lines.
import { dateTime } from '@grafana/data';
import { TimeSeries } from '@grafana/ui';
import { frames } from './fields.js';
import { Nothing } from './nothing.jsx';

const annotated = new WeakSet();

function annotate(config, notes, theme) {
  if (annotated.has(config)) {
    return;
  }
  annotated.add(config);
  config.addHook('drawClear', (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const { from, to, color } of notes) {
      const [left, right] = [from, to].map((at) => Math.min(Math.max(plot.valToPos(at, 'x', true), bbox.left), bbox.left + bbox.width));
      ctx.fillStyle = ctx.strokeStyle = theme.visualization.getColorByName(color);
      ctx.globalAlpha = 0.07;
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
      ctx.globalAlpha = 0.5;
      ctx.setLineDash([4, 4]);
      ctx.beginPath();
      ctx.moveTo(left, bbox.top);
      ctx.lineTo(left, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  });
}

export function Series({ panel, answers, input, width, height }) {
  const drawn = frames(panel, answers, input.look);
  if (!drawn.length) {
    return <Nothing panel={panel} />;
  }
  const range = { from: dateTime(input.from), to: dateTime(input.to) };
  return (
    <TimeSeries
      frames={drawn}
      structureRev={1}
      timeRange={{ ...range, raw: range }}
      timeZone="utc"
      width={width}
      height={height}
      legend={panel.options.legend}
      options={panel.options}
    >
      {(config) => annotate(config, input.notes, input.look) ?? null}
    </TimeSeries>
  );
}
