"""Tries each thing that refreshd depends on by itself, and says what to mend. Harmless to the ledger and to every login."""

from refreshd import policies
from refreshd.access import reached
from refreshd.core.errors import RefreshdError
from refreshd.core.model import LoginId
from refreshd.doctor.database import Patient, examine_database
from refreshd.doctor.finding import Finding, Outcome, Tell, of_error
from refreshd.doctor.vendor import examine_vendor
from refreshd.settings import Settings

__all__ = ["Finding", "Outcome", "Tell", "examine", "of_error"]


async def examine(settings: Settings, *, vendor: bool, tell: Tell, probe: LoginId | None = None) -> None:
    """Tell each finding as it is made. `vendor` False: the settings do not suffice to call Flinks. `probe`: see `write_probe`."""
    patient = Patient(settings=settings, clock=policies.clock(settings))
    try:
        async with reached(settings) as url:
            await examine_database(patient, url, tell)
            if vendor and patient.is_migrated:
                await examine_vendor(patient, url, tell, probe)
    except RefreshdError as error:
        tell(of_error("database", error))
