// Tables, by Grafana's Table.
import { Table } from '@grafana/ui';
import { tableFrame } from './fields.js';
import { Nothing } from './nothing.jsx';

export function Listing({ panel, answers, input, width, height }) {
  const [answer] = answers;
  if (!answer?.columns?.[0]?.values.length) {
    return <Nothing panel={panel} />;
  }
  return <Table data={tableFrame(panel, answer, input.look)} width={width} height={height} cellHeight="sm" columnMinWidth={60} />;
}
