// Big numbers and bars, by Grafana's BigValue and BarGauge.
import { VizOrientation } from '@grafana/data';
import { BarGauge, BarGaugeDisplayMode, BigValue, BigValueColorMode, BigValueGraphMode, BigValueTextMode } from '@grafana/ui';
import { field, frames, last } from './fields.js';
import { Nothing } from './nothing.jsx';

export function BigNumber({ panel, answers, input, width, height }) {
  const [frame] = frames(panel, answers, input.look);
  const none = panel.fieldConfig.defaults.noValue;
  if (!frame && none === 'no data') {
    return <Nothing panel={panel} />;
  }
  const [at, values] = frame ? frame.fields : [null, field(panel, input.look, panel.title, [null], 0)];
  const newest = answers.flatMap(({ series }) => series ?? []).map(({ points }) => last(points)?.[1] ?? null)[0] ?? null;
  const stale = at && at.values.at(-1) < input.to - 15 * 60 * 1000;
  return (
    <BigValue
      value={values.display(stale && none !== 'no data' ? null : newest)}
      colorMode={BigValueColorMode.Background}
      graphMode={at ? panel.options.graphMode : BigValueGraphMode.None}
      textMode={BigValueTextMode.Value}
      text={panel.options.text}
      sparkline={at && panel.options.graphMode === BigValueGraphMode.Area ? { x: at, y: { ...values, config: { ...values.config, custom: {} } } } : undefined}
      width={width}
      height={height}
      theme={input.look}
    />
  );
}

export function Ranking({ panel, answers, input, width, height }) {
  const series = answers.flatMap((answer) => answer.series ?? []);
  if (!series.length) {
    return <Nothing panel={panel} />;
  }
  const each = Math.floor(height / series.length) - 6;
  return (
    <div className="ranks">
      {series.map(({ name, points }, index) => {
        const made = field(panel, input.look, name, [0], index);
        const value = made.display(last(points)?.[1] ?? null);
        return (
          <BarGauge
            key={name}
            width={width}
            height={each}
            theme={input.look}
            field={made.config}
            display={made.display}
            value={{ ...value, title: name }}
            orientation={VizOrientation.Horizontal}
            displayMode={BarGaugeDisplayMode.Basic}
            valueDisplayMode="color"
            showUnfilled
            itemSpacing={6}
            lcdCellWidth={12}
          />
        );
      })}
    </div>
  );
}
