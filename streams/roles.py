"""Roles of those who use the API and the console: each may do what the ones before it may."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Viewers see. Operators handle alarms and decide on actions. Engineers also suppress alarms by design, take them out of

    service, and replay refused inputs. Admins also manage keys and webhooks.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    ADMIN = "admin"

    def may(self, needed: Role) -> bool:
        """Whether this role is enough.

        >>> Role.ENGINEER.may(Role.OPERATOR), Role.VIEWER.may(Role.OPERATOR)
        (True, False)
        """
        order = list(Role)
        return order.index(self) >= order.index(needed)
