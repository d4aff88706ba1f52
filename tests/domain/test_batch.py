"""What a batch is found by in Temporal: a key for each account, and no account id."""

import hashlib

from domain.batch import MANY_ACCOUNTS, account_key, account_keys


def test_a_key_is_what_a_shell_makes_of_the_account() -> None:
    assert account_key("ümlaut") == hashlib.sha256("ümlaut".encode()).hexdigest()[:12]


def test_few_accounts_have_a_key_each_and_many_one_word() -> None:
    fifty = {f"a{n}" for n in range(50)}
    assert account_keys(fifty) == sorted(map(account_key, fifty))
    assert account_keys(fifty | {"one more"}) == [MANY_ACCOUNTS]
    assert account_keys(set()) == []
