"""What is known of a customer, as a page that can be sent to them: one file, no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from liftwerk.server.render import ENVIRONMENT, STATIC


def customer_page(document: Mapping[str, Any]) -> str:
    """Write the page.

    Parameters
    ----------
    document : mapping
        From `liftwerk.governance.export.export`.
    """
    # Our own file; what the customer's data say is escaped.
    styles = Markup((STATIC / "tokens.css").read_text(encoding="utf-8"))
    return ENVIRONMENT.get_template("customer.html").render(said=document, styles=styles)
