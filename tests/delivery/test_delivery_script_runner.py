"""Where scripts run, and what they are answered."""

import pickle
from collections import Counter

import pytest
from delivery_fakes import Processes, Threads
from zope.interface.verify import verifyObject

from mailnode.delivery import script_runner
from mailnode.delivery.script_answers import ScriptAnswers
from mailnode.delivery.script_runner import SMALL_MESSAGE, SMALL_SCRIPTS, ScriptRunner
from mailnode.interfaces.sieve import IScriptAnswers, ISieve
from mailnode.net.no_reactor import run_now
from mailnode.server.runtime import ANSWERED
from mailnode.sieve.actions import DiscardMessage, EditedContent, FileMessage, KeepMessage
from mailnode.sieve.facts import EnvelopeFacts, SieveFacts
from mailnode.sieve.questions import IncludedScript, MailboxPresent
from mailnode.values.ids import new_id
from mailnode.values.scripts import StoredScript

MESSAGE = b"From: a@b.example\r\nTo: me@here.example\r\n\r\nbody\r\n"
LARGE = MESSAGE + b"x" * SMALL_MESSAGE
CHOOSING = 'require ["fileinto", "mailbox"]; if mailboxexists "A" { fileinto "A"; }'


class Answers:
    """Answers from a table, and counts who asks."""

    def __init__(self, **more):
        self.known = {}
        self.asked = Counter()

    def of(self, account_id):
        async def answer(question):
            self.asked[question] += 1
            return self.known.get(question)

        return answer


def stored(source, name="s"):
    text = source.encode()
    return StoredScript(name, text, new_id(0.0) if not text else str(hash(text)))


class Setup:
    def __init__(self, tmp_path):
        self.threads, self.processes, self.answers = Threads(), Processes(), Answers()
        self.runner = ScriptRunner(self.threads, self.processes, self.answers, str(tmp_path))

    def run(self, *sources, message=MESSAGE):
        facts = SieveFacts(message, EnvelopeFacts("a@b.example", "me@here.example"), 0.0)
        return run_now(self.runner.run("ann", [stored(one) for one in sources], facts))


@pytest.fixture
def setup(tmp_path):
    return Setup(tmp_path)


def test_it_keeps_its_contracts(setup):
    assert verifyObject(ISieve, setup.runner)
    assert verifyObject(IScriptAnswers, ScriptAnswers(None, None, None, None))


@pytest.mark.parametrize("message", [MESSAGE, LARGE])
@pytest.mark.parametrize("there", [False, True])
def test_a_question_is_answered_wherever_it_runs(setup, message, there):
    question = MailboxPresent("A")
    setup.answers.known[question] = there
    found = setup.run(CHOOSING, message=message)
    assert isinstance(found.actions[0], FileMessage if there else KeepMessage)
    assert setup.answers.asked == {question: 1}


def test_small_ones_run_in_a_thread_and_large_ones_in_another_process(setup, tmp_path):
    setup.run("keep;")
    assert {pool for pool, _ in setup.threads.calls} == {"cpu"}
    assert setup.processes.calls == []
    setup.threads.calls.clear()
    setup.run("keep;", message=LARGE)
    setup.run("keep;" + "#" * SMALL_SCRIPTS)
    assert len(setup.processes.calls) == 2
    assert {pool for pool, _ in setup.threads.calls} == {"disk"}, "nothing large is looked at here"
    assert list(tmp_path.iterdir()) == []


def test_a_large_message_is_seen_whole_and_comes_back_edited(setup):
    script = 'require ["body", "editheader"]; if body :raw :contains "xxxxend" { addheader "X-Seen" "1"; }'
    found = setup.run(script, message=LARGE + b"end\r\n")
    assert found.actions[0].content == EditedContent(b"X-Seen: 1\r\n" + MESSAGE.partition(b"body")[0], None)


def test_what_asks_very_much_of_another_process_goes_on_in_a_thread(setup):
    names = [f"m{number}" for number in range(script_runner.MAX_ROUNDS + 5)]
    tests = "".join(f'if mailboxexists "{name}" {{ discard; }}' for name in names)
    found = setup.run('require "mailbox"; ' + tests, message=LARGE)
    assert isinstance(found.actions[0], KeepMessage)
    assert set(setup.answers.asked.values()) == {1}, "what was answered is not asked again"


@pytest.mark.parametrize("message", [MESSAGE, LARGE])
def test_scripts_include_others(setup, message):
    setup.answers.known[IncludedScript("personal", "other")] = stored("discard;")
    assert setup.run('require "include"; include "other";', message=message).actions == (DiscardMessage(),)
    setup.answers.known[IncludedScript("personal", "other")] = stored("nonsense;")
    failed = setup.run('require "include"; include "other";', message=message).failed
    assert "line 1, column 1" in failed.failure.text


def test_a_script_is_compiled_once_and_few_stay_compiled(setup, monkeypatch):
    compiled = []
    compile_script = script_runner.compile_script
    monkeypatch.setattr(
        script_runner, "compile_script", lambda source: compiled.append(source) or compile_script(source)
    )
    setup.run("keep;")
    setup.run("keep;")
    assert len(compiled) == 1
    monkeypatch.setattr(script_runner, "KEPT_SOURCE", 20)
    setup.run("discard; # too long to stay")
    setup.run("discard; # too long to stay")
    setup.run("keep;")
    assert len(compiled) == 4


def test_what_another_process_says_may_be_said():
    facts = SieveFacts(b"", EnvelopeFacts("a@b.example", "me@here.example"), 0.0)
    script = (
        'require ["fileinto", "editheader", "mime", "replace"]; addheader "A" "b"; fileinto "A"; replace "x"; keep;'
    )
    for source in (script, CHOOSING, "nonsense", 'require "ihave"; error "oh";'):
        said = script_runner.run_on_file("/dev/null", [stored(source)], facts, {}, script_runner.ScriptLimits())
        assert ANSWERED.loads(pickle.dumps(said)) == said
