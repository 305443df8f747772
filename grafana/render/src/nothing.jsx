// What a test looks for: a panel that has nothing to show.
export function Nothing({ panel }) {
  return (
    <div className="nothing" data-nothing={panel.id}>
      No data
    </div>
  );
}
