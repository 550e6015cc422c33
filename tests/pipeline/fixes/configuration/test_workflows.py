"""What a workflow's jobs need, and how texts of outsiders get into scripts."""

import textwrap

import pytest

from secdaemon.pipeline.fixes.configuration.model import Weakness
from secdaemon.pipeline.fixes.configuration.workflow import need_of, read_workflow
from secdaemon.pipeline.fixes.configuration.workflow_scripts import INJECTION
from secdaemon.pipeline.fixes.configuration.workflows import KIND


def workflow(steps: str, job: str = "") -> str:
    """Return a workflow with one job of these steps."""
    head = f"on: push\njobs:\n  it:\n    runs-on: ubuntu-latest\n{textwrap.indent(job, '    ')}"
    return f"{head}    steps:\n{textwrap.indent(steps, '      ')}\n"


LOGIN = "- run: echo '${{ github.token }}' | docker login ghcr.io -u x --password-stdin"
SCRIPT = "- uses: actions/github-script@v7\n  with:\n    script: |\n"
TOKEN = "env: {GH_TOKEN: '${{ secrets.GITHUB_TOKEN }}'}"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("- uses: actions/checkout@v4\n- run: make", {"contents": "read"}),
        ("- run: make", {}),
        ("- uses: docker://alpine:3", {}),
        (
            "- uses: peter-evans/create-pull-request@v6",
            {"contents": "write", "pull-requests": "write"},
        ),
        ("- uses: peter-evans/create-pull-request@v6\n  with: {token: '${{ secrets.PAT }}'}", {}),
        ("- uses: softprops/action-gh-release@v2", {"contents": "write"}),
        ("- uses: actions/deploy-pages@v4", {"id-token": "write", "pages": "write"}),
        (
            "- uses: aws-actions/configure-aws-credentials@v4\n  with: {role-to-assume: arn}",
            {"id-token": "write"},
        ),
        ("- uses: aws-actions/configure-aws-credentials@v4\n  with: {aws-access-key-id: a}", {}),
        ("- uses: azure/login@v2\n  with: {creds: a}", {}),
        ("- uses: some-org/setup-tool@v1\n  with: {token: '${{ github.token }}'}", {}),
        (
            f"- run: gh pr comment 1 --body x\n  {TOKEN}",
            {"contents": "read", "pull-requests": "write"},
        ),
        (f"- run: gh issue close 1\n  {TOKEN}", {"issues": "write"}),
        (f"- run: gh release view\n  {TOKEN}", {"contents": "read"}),
        (f"- run: ./gradlew publish\n  {TOKEN}", {"packages": "write"}),
        ("- uses: actions/checkout@v4\n- run: git push origin HEAD", {"contents": "write"}),
        (
            "- uses: actions/checkout@v4\n  with: {token: '${{ secrets.PAT }}'}\n- run: git push",
            {"contents": "read"},
        ),
        (
            f"{LOGIN}\n- run: docker push ghcr.io/a/b",
            {"packages": "write"},
        ),
        (
            f"{LOGIN}\n- run: docker pull ghcr.io/a/b",
            {"packages": "read"},
        ),
        (
            f"{SCRIPT}      const {{data}} = await github.rest.issues.createComment({{}});",
            {"issues": "write", "pull-requests": "write"},
        ),
    ],
)
def test_needs_that_can_be_told(steps: str, expected: dict[str, str]) -> None:
    """Actions, commands and API calls say what a job needs of its token."""
    found = read_workflow(workflow(steps))
    assert found is not None
    need = need_of(found, found.jobs[0])
    assert need is not None
    assert need.permissions == expected


@pytest.mark.parametrize(
    "steps",
    [
        f"- run: ./release.sh\n  {TOKEN}",
        f"- run: gh api repos/x\n  {TOKEN}",
        "- uses: ./.github/actions/own",
        "- uses: some/thing@v1\n  with: {token: '${{ github.token }}'}",
        "- uses: actions/github-script@v7\n  with: {script: \"await github.request('GET /')\"}",
        "- uses: actions/github-script@v7\n  with: {script: \"require('./x')({github})\"}",
    ],
)
def test_needs_that_cannot_be_told(steps: str) -> None:
    """Where the token goes to something unknown there is no fix, rather than a broken workflow."""
    text = workflow(steps)
    found = read_workflow(text)
    assert found is not None
    assert need_of(found, found.jobs[0]) is None
    weakness = next(w for w in KIND.weaknesses(text) if w.check == "workflow-permissions")
    assert KIND.mends[weakness.check](text, weakness) == ()


def test_an_unknown_action_without_a_token_is_named() -> None:
    """What it does with the token that every action can ask for is left to the reader."""
    text = workflow("- uses: some/thing@v1\n- uses: actions/checkout@v4")
    weakness = next(w for w in KIND.weaknesses(text) if w.check == "workflow-permissions")
    repairs = KIND.mends[weakness.check](text, weakness)
    assert repairs
    assert all("`some/thing`" in repair.reason for repair in repairs)


TITLE = "${{ github.event.issue.title }}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"echo {TITLE}", 'echo "${ISSUE_TITLE}"'),
        (f'echo "a {TITLE} b"', 'echo "a ${ISSUE_TITLE} b"'),
        (f"echo 'a {TITLE} b'", "echo 'a '\"${ISSUE_TITLE}\"' b'"),
        (f"echo '{TITLE}'", 'echo "${ISSUE_TITLE}"'),
        (f"X={TITLE}", 'X="${ISSUE_TITLE}"'),
        (f"tool --title={TITLE} x", 'tool --title="${ISSUE_TITLE}" x'),
        (f'if [[ "{TITLE}" == a* ]]; then x; fi', 'if [[ "${ISSUE_TITLE}" == a* ]]; then x; fi'),
        (f"if [ {TITLE} = a ]; then x; fi", 'if [ "${ISSUE_TITLE}" = a ]; then x; fi'),
        (f"cat > x <<EOF\n{TITLE}\nEOF", "cat > x <<EOF\n${ISSUE_TITLE}\nEOF"),
        (f'x=$(printf %s "{TITLE}" | tr a b)', 'x=$(printf %s "${ISSUE_TITLE}" | tr a b)'),
        (f"# {TITLE}\nmake", "# ${ISSUE_TITLE}\nmake"),
        (f"python3 say.py --title {TITLE}", 'python3 say.py --title "${ISSUE_TITLE}"'),
        (f'for i in 1 2; do echo "{TITLE}"; done', 'for i in 1 2; do echo "${ISSUE_TITLE}"; done'),
        ("echo ${{ github.head_ref || github.ref_name }}", 'echo "${HEAD_REF}"'),
    ],
)
def test_scripts_get_quoted_variables(before: str, after: str) -> None:
    """An expression becomes a variable, quoted as the place in the script asks for it."""
    text = workflow("- run: |\n" + textwrap.indent(before, "    "))
    (weakness,) = injections(text)
    (repair,) = KIND.mends[INJECTION](text, weakness)
    assert textwrap.indent(after, " " * 10) in repair.after
    assert injections(repair.after) == []


@pytest.mark.parametrize(
    "script",
    [
        f"bash -c 'echo {TITLE}'",
        f'eval "x={TITLE}"',
        f'ssh host "run {TITLE}"',
        f"python3 -c \"print('{TITLE}')\"",
        f'sudo sh -c "echo {TITLE}"',
        f"bash <<EOF\necho {TITLE}\nEOF",
        f'echo "{TITLE}" | bash',
        f"cat <<'EOF'\n{TITLE}\nEOF",
        f"{TITLE} --help",
        f"for i in {TITLE}; do x; done",
        f"echo $(( {TITLE} + 1 ))",
        f"jq '.title = \"{TITLE}\"' x.json",
        "npm test ${{ inputs.args }}",
        f'echo "{TITLE}',
    ],
)
def test_scripts_that_run_the_text_are_left_alone(script: str) -> None:
    """Where the value would be code again, or may be several words, there is no fix."""
    text = workflow("- run: |\n" + textwrap.indent(script, "    "))
    (weakness,) = injections(text)
    assert KIND.mends[INJECTION](text, weakness) == ()


@pytest.mark.parametrize(
    "script",
    [
        "echo ${{ github.event.pull_request.number }} ${{ github.sha }} ${{ secrets.A }}",
        "if ${{ github.event.action == 'opened' }}; then x; fi",
        "echo ${{ github.event.pull_request.head.sha }} ${{ matrix.os }}",
    ],
)
def test_harmless_expressions_are_none(script: str) -> None:
    """Numbers, commits and the repository's own values are nobody else's text."""
    assert injections(workflow(f"- run: |\n    {script}")) == []


def test_other_shells_are_left_alone() -> None:
    """A variable is written otherwise in PowerShell, which Windows runners have by default."""
    step = f"- run: echo {TITLE}"
    for text in (
        workflow(f"{step}\n  shell: pwsh"),
        workflow(step).replace("ubuntu", "windows"),
        workflow(step, "strategy: {matrix: {os: [windows-latest]}}\n").replace(
            "ubuntu-latest", "${{ matrix.os }}"
        ),
    ):
        (weakness,) = injections(text)
        assert KIND.mends[INJECTION](text, weakness) == ()


def test_names_that_are_taken_are_not_used() -> None:
    """A variable of the same value is used again, one of another value is not overwritten."""
    same = workflow(f"- run: echo {TITLE}\n  env:\n    TITLE: {TITLE}")
    other = workflow(f"- run: echo {TITLE}\n  env:\n    ISSUE_TITLE: x")
    for text, name in ((same, "TITLE"), (other, "ISSUE_TITLE_2")):
        (weakness,) = injections(text)
        (repair,) = KIND.mends[INJECTION](text, weakness)
        assert f'echo "${{{name}}}"' in repair.after
        assert f"{name}: {TITLE}" in repair.after


@pytest.mark.parametrize(
    "step",
    [
        "- run: git push",
        "- run: git fetch --tags",
        "- run: ./scripts/release.sh",
        "- uses: stefanzweifel/git-auto-commit-action@v5",
        "- uses: ./actions/own",
    ],
)
def test_credentials_stay_where_git_needs_them(step: str) -> None:
    """A job that speaks to the remote later keeps what checkout left for it."""
    text = workflow(f"- uses: actions/checkout@v4\n{step}")
    weakness = next(w for w in KIND.weaknesses(text) if w.check == "checkout-credentials")
    assert KIND.mends[weakness.check](text, weakness) == ()


def injections(text: str) -> list[Weakness]:
    """Return the scripts that an outsider's text gets into."""
    return [weakness for weakness in KIND.weaknesses(text) if weakness.check == INJECTION]


@pytest.mark.parametrize(
    "script",
    [
        'make T="${{ github.head_ref }}"',
        'sudo make T="${{ github.head_ref }}"',
        "source ./${{ github.head_ref }}.sh",
        "let x=${{ github.head_ref }}",
        'declare -i x="${{ github.head_ref }}"',
        'if [[ "${{ github.head_ref }}" -gt 5 ]]; then echo; fi',
        'echo "T=${{ github.head_ref }}" >> $GITHUB_ENV',
        'echo "${{ github.head_ref }}" | tee -a "$GITHUB_PATH"',
        "echo ${{ github.head_ref }} ${{ env.TITLE }}",
    ],
)
def test_quotes_do_not_help_where_the_text_is_evaluated(script: str) -> None:
    """By make, as a number, as a file to run, as a line of the environment, by another variable."""
    job = "env:\n  TITLE: ${{ github.event.issue.title }}\n"
    text = workflow(f"- run: |\n    {script}", job)
    (weakness,) = injections(text)
    assert KIND.mends[INJECTION](text, weakness) == ()


def test_a_composite_action_leaves_its_credentials_to_others() -> None:
    """The steps behind it are those of whoever uses it, and may push."""
    step = "    - uses: actions/checkout@v4\n"
    text = f"name: a\ndescription: b\nruns:\n  using: composite\n  steps:\n{step}"
    (weakness,) = [w for w in KIND.weaknesses(text) if w.check == "checkout-credentials"]
    assert KIND.mends["checkout-credentials"](text, weakness) == ()


def test_two_choices_that_say_the_same_are_one() -> None:
    """Where no job but the one that writes needs anything, there is nothing to choose."""
    more = "  other:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make\n"
    text = workflow("- uses: actions/labeler@v5") + more
    weakness = KIND.weaknesses(text)[0]
    assert [way.choice for way in KIND.mends[weakness.check](text, weakness)] == [""]


def test_a_crowd_of_jobs_is_left_alone() -> None:
    """Hundreds of blocks are no change that anybody reads, nor one that is made at once."""
    job = "    runs-on: ubuntu-latest\n    steps:\n      - uses: actions/checkout@v4\n"
    text = "on: push\njobs:\n" + "".join(f"  j{n}:\n{job}" for n in range(2_000))
    weakness = KIND.weaknesses(text)[0]
    assert KIND.mends[weakness.check](text, weakness) == ()
