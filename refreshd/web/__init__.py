"""The HTTP door: `/metrics`, the probes, the page for people, and, for operators who may, a few decisions."""

from refreshd.web.serving import base_url, parse_listen, serve
from refreshd.web.site import Site, make_app

__all__ = ["Site", "base_url", "make_app", "parse_listen", "serve"]
