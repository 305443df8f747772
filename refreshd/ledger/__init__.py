"""The ledger: one typed method for each named query in `sql/queries`, rows in, values out. No SQL text, no decisions.

Every write of a pass or a worker is fenced: it is stored only while the lease's term is still the newest one.
"""

from refreshd.ledger.deciding import DecidingQueries
from refreshd.ledger.institutions import InstitutionQueries
from refreshd.ledger.keeping import KeepingQueries
from refreshd.ledger.paging import PageQueries
from refreshd.ledger.passes import PassQueries
from refreshd.ledger.reading import ReadingQueries
from refreshd.ledger.restraint import RestraintQueries
from refreshd.ledger.undoing import UndoingQueries
from refreshd.ledger.work import WorkQueries
from refreshd.postgres import Database

__all__ = ["Ledger"]


class Ledger(
    PassQueries,
    WorkQueries,
    RestraintQueries,
    InstitutionQueries,
    ReadingQueries,
    DecidingQueries,
    KeepingQueries,
    PageQueries,
    UndoingQueries,
):
    """All of the ledger on one pool, `database`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        PassQueries.__init__(self, database)
        WorkQueries.__init__(self, database)
        RestraintQueries.__init__(self, database)
        InstitutionQueries.__init__(self, database)
        ReadingQueries.__init__(self, database)
        PageQueries.__init__(self, database)
        DecidingQueries.__init__(self, database)
        KeepingQueries.__init__(self, database)
        UndoingQueries.__init__(self, database)
