"""What is wrong with the options of a policy is said as of any other key."""

import pytest

from mailnode.errors import ConfigurationError
from mailnode.policy import dnsbl, greylist, milter, spf
from mailnode.policy.options import read


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (dnsbl.OPTIONS, {"lists": [{"zone": "x.example", "scor": 3}]}, "lists[0].scor: unknown key"),
        (milter.OPTIONS, {}, "endpoint: is required"),
        (spf.OPTIONS, {"fail": 1000}, "fail: should be less than or equal to 100, not 1000"),
        (greylist.OPTIONS, {"delay": "soon"}, "delay: should be a number of seconds, or "),
    ],
)
def test_mistakes_in_words(model, given, said):
    with pytest.raises(ConfigurationError) as raised:
        read(model, given)
    (mistake,) = raised.value.mistakes
    assert mistake.startswith(said)
