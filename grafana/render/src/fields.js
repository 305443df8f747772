// From answers to Grafana's data frames, with the panel's field configuration applied as Grafana applies it.
import { FieldType, getDisplayProcessor, getMinMaxAndDelta, toDataFrame } from '@grafana/data';

function set(config, path, value) {
  const steps = path.split('.');
  const last = steps.pop();
  const place = steps.reduce((at, step) => (at[step] = { ...at[step] }), config);
  place[last] = value;
}

function matches(matcher, name) {
  return matcher.id === 'byRegexp' ? new RegExp(matcher.options).test(name) : matcher.options === name;
}

function configOf(panel, name) {
  const config = structuredClone(panel.fieldConfig?.defaults ?? {});
  for (const { matcher, properties } of panel.fieldConfig?.overrides ?? []) {
    if (matches(matcher, name)) {
      properties.forEach(({ id, value }) => set(config, id, value));
    }
  }
  config.color ??= { mode: config.thresholds && panel.type !== 'timeseries' ? 'thresholds' : 'palette-classic' };
  config.displayName = name;
  return config;
}

export function field(panel, theme, name, values, index, type = FieldType.number) {
  const made = { name, type, values, config: configOf(panel, name), state: { displayName: name, seriesIndex: index } };
  made.state.range = getMinMaxAndDelta(made);
  made.display = getDisplayProcessor({ field: made, theme, timeZone: 'utc' });
  return made;
}

const time = (values) => ({ name: 'Time', type: FieldType.time, values, config: {} });

// answer: { series: [{ name, points: [[milliseconds, value], ...] }, ...] }
export function frames(panel, answers, theme) {
  const series = answers.flatMap((answer) => answer.series ?? []);
  return series.map(({ name, points }, index) =>
    toDataFrameWith(time(points.map(([at]) => at)), field(panel, theme, name, points.map(([, value]) => value), index), name)
  );
}

function toDataFrameWith(at, value, name) {
  return { name, fields: [at, value], length: at.values.length, refId: name };
}

// answer: { columns: [{ name, type, values }, ...] }
export function tableFrame(panel, answer, theme) {
  const fields = answer.columns.map(({ name, type, values }, index) => field(panel, theme, name, values, index, type));
  return toDataFrame({ fields, length: fields[0]?.values.length ?? 0 });
}

export const last = (points) => points.findLast(([, value]) => value !== null);
