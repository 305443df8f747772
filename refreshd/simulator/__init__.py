"""A simulated Flinks: a pure state machine with an in-process door and an HTTP door.

Written from the vendor's documents alone; it imports nothing of the rest of refreshd, so that a misreading is not made twice.
"""

from refreshd.simulator.audit import Rule
from refreshd.simulator.company import Link, company_links, inactive_logins, population_csv
from refreshd.simulator.config import AnswerForm, AnswerPrefix, RetryAfter, ScheduleAuth, SimulatorConfig
from refreshd.simulator.dates import ScaledClock
from refreshd.simulator.door import InProcessDoor
from refreshd.simulator.faults import FaultKind, FaultRule, FaultRuleError
from refreshd.simulator.messages import Moment, Request, Response
from refreshd.simulator.population import Population, Shares, populate
from refreshd.simulator.simulator import Simulator
from refreshd.simulator.state import UnknownNameError
from refreshd.simulator.summary import summary

__all__ = [
    "AnswerForm",
    "AnswerPrefix",
    "FaultKind",
    "FaultRule",
    "FaultRuleError",
    "InProcessDoor",
    "Link",
    "Moment",
    "Population",
    "Request",
    "Response",
    "RetryAfter",
    "Rule",
    "ScaledClock",
    "ScheduleAuth",
    "Shares",
    "Simulator",
    "SimulatorConfig",
    "UnknownNameError",
    "company_links",
    "inactive_logins",
    "populate",
    "population_csv",
    "summary",
]
