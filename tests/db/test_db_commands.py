from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from scalekit.db.conf import schemes


def run(*args, **options):
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue()


def test_which_shard(shards):
    assert run("which_shard", "users", "7").startswith(schemes["users"].shard_for(7))
    with pytest.raises(CommandError, match=r"no shard group 'user'; .* has users"):
        run("which_shard", "user", "7")
