"""Write every dashboard into `dashboards/`, as it is committed."""

from pathlib import Path

from grafana.board import Board, built, written
from grafana.boards import logins, overview, reconcile, runtime, vendor

DIRECTORY = Path(__file__).parent / "dashboards"


def texts() -> dict[str, str]:
    """File name -> JSON, of every dashboard."""
    boards: tuple[Board, ...] = (overview.board(), reconcile.board(), vendor.board(), runtime.board())
    made = {board.uid: built(board) for board in boards} | {logins.UID: logins.dashboard()}
    return {f"{uid}.json": written(each) for uid, each in made.items()}


def main() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for name, text in texts().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
