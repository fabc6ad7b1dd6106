"""Keeps user names out of metrics."""

from __future__ import annotations

import hashlib
import os

SALT_VARIABLE = "METRICS_USER_HASH_SALT"


def default_salt(api_key: str | None) -> str:
    """`METRICS_USER_HASH_SALT`, where it is set and not empty, else the key: so in every client of any language."""
    return os.environ.get(SALT_VARIABLE) or (api_key or "").strip()


def hash_user(user_id: str | None, *, salt: str | None = None) -> str:
    """Twelve hexadecimal digits of SHA-256 that stand for a user: equal for the same user and salt.

    salt: default `METRICS_USER_HASH_SALT`, else `METRICS_API_KEY`, so that nobody finds names by trying them out. The
    empty text gives the unsalted hashes of the emitters of the replaced system. No user gives an empty text.
    """
    if not user_id:
        return ""
    if salt is None:
        salt = default_salt(os.environ.get("METRICS_API_KEY"))
    text = f"{salt}:{user_id}" if salt else user_id
    # A lone surrogate becomes U+FFFD, as in JavaScript.
    scalars = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return hashlib.sha256(scalars.encode()).hexdigest()[:12]
