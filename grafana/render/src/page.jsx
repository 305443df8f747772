// Draws one dashboard with Grafana's own components. `draw(input)` is called from outside with all the data; nothing is fetched.
//
// input: { dashboard, theme: "dark" | "light", from, to (milliseconds), panels: { id: [answer, ...] }, notes: [annotation, ...] }
import '@fontsource-variable/inter';
import 'uplot/dist/uPlot.min.css';
import './page.css';
import { createTheme, dateTime } from '@grafana/data';
import { GlobalStyles, PanelChrome, ThemeContext } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { flushSync } from 'react-dom';
import { AlertList } from './alerts.jsx';
import { Listing } from './listing.jsx';
import { BigNumber, Ranking } from './numbers.jsx';
import { Series } from './series.jsx';
import { States } from './states.jsx';

const CELL_HEIGHT = 30;
const GAP = 8;
const COLUMNS = 24;

const KINDS = {
  stat: BigNumber,
  bargauge: Ranking,
  timeseries: Series,
  'state-timeline': States,
  table: Listing,
  alertlist: AlertList,
};

function Placed({ panel, input, width }) {
  const column = (width + GAP) / COLUMNS;
  const { x, y, w, h } = panel.gridPos;
  const box = {
    position: 'absolute',
    left: x * column,
    top: y * (CELL_HEIGHT + GAP),
    width: w * column - GAP,
    height: h * (CELL_HEIGHT + GAP) - GAP,
  };
  if (panel.type === 'row') {
    return (
      <div className="heading" style={box}>
        {panel.title}
      </div>
    );
  }
  const Kind = KINDS[panel.type];
  const answers = input.panels[panel.id] ?? [];
  return (
    <div style={box} data-panel={panel.id} data-kind={panel.type}>
      <PanelChrome title={panel.title} width={box.width} height={box.height} padding={panel.type === 'stat' ? 'none' : 'md'}>
        {(innerWidth, innerHeight) => (
          <Kind panel={panel} answers={answers} input={input} width={innerWidth} height={innerHeight} />
        )}
      </PanelChrome>
    </div>
  );
}

function Page({ input }) {
  const width = document.documentElement.clientWidth - 2 * 16;
  const panels = input.dashboard.panels;
  const height = Math.max(...panels.map(({ gridPos }) => (gridPos.y + gridPos.h) * (CELL_HEIGHT + GAP)));
  const span = [input.from, input.to].map((at) => dateTime(at).utc().format('YYYY-MM-DD HH:mm'));
  return (
    <main>
      <header>
        <h1>{input.dashboard.title}</h1>
        <span>{input.dashboard.description}</span>
        <time>{`${span[0]} to ${span[1]} UTC`}</time>
      </header>
      <div style={{ position: 'relative', height }}>
        {panels.map((panel) => (
          <Placed key={panel.id} panel={panel} input={input} width={width} />
        ))}
      </div>
    </main>
  );
}

window.draw = (input) => {
  const theme = createTheme({ colors: { mode: input.theme }, typography: { fontFamily: "'Inter Variable', sans-serif" } });
  document.documentElement.style.colorScheme = input.theme;
  document.body.style.background = theme.colors.background.canvas;
  document.body.style.color = theme.colors.text.primary;
  const root = createRoot(document.getElementById('root'));
  flushSync(() =>
    root.render(
      <ThemeContext.Provider value={theme}>
        <GlobalStyles />
        <Page input={{ ...input, look: theme }} />
      </ThemeContext.Provider>
    )
  );
};
