"""The HTTP door: `/metrics`, the probes, the page for people, and, for operators who may, a few decisions."""

from refreshd.web.app import make_app
from refreshd.web.desk import DecidingLedger, Desk
from refreshd.web.serving import base_url, parse_listen, serve
from refreshd.web.site import Site

__all__ = ["DecidingLedger", "Desk", "Site", "base_url", "make_app", "parse_listen", "serve"]
