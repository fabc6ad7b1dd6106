"""Keeps user names out of metrics."""

from __future__ import annotations

import hashlib
import os

SALT_VARIABLE = "METRICS_USER_HASH_SALT"


def hash_user(user_id: str | None, *, salt: str | None = None) -> str:
    """Twelve hexadecimal digits of SHA-256 that stand for a user: equal for the same user and salt.

    salt: default `METRICS_USER_HASH_SALT`, else the API key, so that nobody finds names by trying them out. The empty
    text gives the unsalted hashes of the emitters of the replaced system. No user gives an empty text.
    """
    if not user_id:
        return ""
    if salt is None:
        salt = os.environ.get(SALT_VARIABLE)
    if salt is None:
        salt = os.environ.get("METRICS_API_KEY", "")
    text = f"{salt}:{user_id}" if salt else user_id
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
