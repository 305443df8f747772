"""The fortnight as files: played into a database, scraped into OpenMetrics, made into blocks."""

import asyncio
import tempfile
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

from refreshd import leading
from tests.fortnight import alerting
from tests.fortnight.loglines import logging_to_nowhere
from tests.fortnight.prometheus import make_blocks, served
from tests.fortnight.scrape import INTERVAL, SUFFIX, Scraper
from tests.fortnight.story import play
from tests.fortnight.town import END, START, town
from tests.support.virtual_loop import VirtualClock, run_virtual


def tell(database_url: str, directory: Path, until: datetime = END) -> None:
    """Play the story in this database, which is migrated and empty, and leave what was scraped in `directory`."""

    async def main(clock: VirtualClock) -> None:
        async with town(database_url, clock) as place:
            scraper = Scraper(place, directory)
            async with asyncio.TaskGroup() as group:
                scraping = group.create_task(scraper.run())
                await play(place, group, until)
                scraping.cancel()
                for copy in place.copies:
                    await copy.end()
            scraper.close()
            assert not place.flinks.audit.breaches_by_rule, list(place.flinks.audit.breaches)[:5]

    directory.mkdir(parents=True, exist_ok=True)
    with patch.object(leading, "TOTALS_SECONDS", INTERVAL.total_seconds()), logging_to_nowhere():
        run_virtual(main, START)


def blocks(directory: Path) -> Path:
    """What a Prometheus can serve, made of the scrapes in `directory` and of what the alert rules say about them."""
    data = directory / "blocks"
    make_blocks(sorted(directory.glob(f"*{SUFFIX}")), data)
    for number, rules in enumerate(alerting.levels()):
        with tempfile.TemporaryDirectory(dir=directory) as own, served(data, Path(own)) as prometheus:
            points = alerting.evaluated(rules, prometheus, START, END, INTERVAL)
        make_blocks(alerting.write(points, directory / f"rules-{number}"), data)
    return data
