"""What instaloader sees of the web API of Instagram."""

import datetime
import pathlib

import instaloader
from instaloader import Profile, TopSearchResults
from instaloader.exceptions import (
    AbortDownloadException,
    ConnectionException,
    ProfileNotExistsException,
)

# More than fit into one request for stories.
NUMBERED = 60


class NoPause(instaloader.RateController):
    """Nobody needs to be spared here."""

    def sleep(self, secs):
        pass


def loader(sim, session, **options):
    """instaloader, logged in as a session."""
    client = instaloader.Instaloader(
        sleep=False,
        quiet=True,
        max_connection_attempts=1,
        rate_controller=NoPause,
        dirname_pattern=str(sim.folder / "{target}"),
        **options,
    )
    client.load_session(session, sim.cookies(session))
    return client


def check(checks, sim):
    sim.post("accounts/tea_house", kind="active")
    names = [f"acct_{number:06}" for number in range(NUMBERED)] + ["tea_house"]
    truths = {name: sim.get("truth", name=name) for name in names}
    by_kind = lambda kind: [truth for truth in truths.values() if truth["kind"] == kind]
    active, quiet = by_kind("active"), by_kind("no_story")
    private, missing = by_kind("private"), by_kind("not_found")
    some = active[:2] + active[-1:] + quiet[:2] + private[:2]

    client = loader(sim, "viewer_0")
    with checks.works("who am I"):
        checks.equal("test_login names the session", client.test_login(), "viewer_0")
        own = Profile.own_profile(client.context)
        checks.equal("own_profile", (own.username, own.userid), ("viewer_0", 7_000_000_000))
    for truth in some:
        with checks.works(f"profile of {truth['name']}"):
            profiles(checks, client, truth)
    for truth in missing[:2]:
        name = truth["name"]
        with checks.raises(f"{name} is not found by name", ProfileNotExistsException):
            Profile.from_username(client.context, name)
        with checks.raises(f"{name} is not found by id", ProfileNotExistsException):
            Profile.from_id(client.context, truth["id"])
    with checks.works("stories"):
        stories(checks, client, truths, active)
    with checks.works("stories without the app"):
        plain = loader(sim, "viewer_0", iphone_support=False)
        story = next(plain.get_stories([active[0]["id"]]))
        what = f"{active[0]['name']}: the same without iphone_support"
        checks.equal(what, items(story), true_items(active[0]))
    with checks.works("followed accounts"):
        followed = {story.owner_username for story in client.get_stories()}
        tray = {truth["name"] for truth in active if truth["name"] in names[:50]}
        checks.equal(f"get_stories() finds the {len(tray)} followed ones", followed, tray)
    with checks.works("search"):
        found = TopSearchResults(client.context, active[0]["name"]).get_profiles()
        checks.equal("a search finds the name first", next(found).userid, active[0]["id"])


def profiles(checks, client, truth):
    """One account by name and by id."""
    name, number, kind = truth["name"], truth["id"], truth["kind"]
    profile = Profile.from_username(client.context, name)
    others = Profile.from_id(client.context, number), client.check_profile_id(name)
    ids = [same.userid for same in (profile, *others)]
    checks.equal(f"{name}: one id by name, by id and by check_profile_id", ids, [number] * 3)
    # What is private and can be seen nevertheless is followed.
    closed = profile.is_private and not profile.followed_by_viewer
    story = bool(profile.has_viewable_story) if profile.is_private else profile.has_public_story
    checks.equal(f"{name}: {kind}", (closed, story), (kind == "private", kind == "active"))


def stories(checks, client, truths, active):
    """The stories of all accounts at once, whatever they are."""
    ids = [truth["id"] for truth in truths.values()]
    found = {story.owner_id: story for story in client.get_stories(ids)}
    checks.equal(
        f"{len(truths)} accounts: {len(active)} have a story",
        sorted(found),
        sorted(truth["id"] for truth in active),
    )
    for truth in active:
        name, count = truth["name"], len(truth["items"])
        with checks.works(f"stories of {name}"):
            said = items(found[truth["id"]])
            what = f"{name}: pk, times, kind and addresses of {count}"
            checks.equal(what, said, true_items(truth))


def items(story):
    """What instaloader says about every item, oldest first."""
    said = [
        (
            item.mediaid,
            seconds(item.date_utc),
            seconds(item.expiring_utc),
            item.is_video,
            # Its addresses carry the number of the item.
            file_of(item.url),
            file_of(item.video_url),
        )
        for item in story.get_items()
    ]
    return said[::-1]


def true_items(truth):
    """The same as it is."""
    return [
        (
            item["pk"],
            item["taken_at"] // 1000,
            item["expires_at"] // 1000,
            item["video"],
            str(item["pk"]),
            str(item["pk"]) if item["video"] else None,
        )
        for item in truth["items"]
    ]


def seconds(time):
    return int(time.replace(tzinfo=datetime.timezone.utc).timestamp())


def file_of(url):
    """The number in the name of a file; `None` without an address."""
    return url and pathlib.PurePosixPath(url.split("?")[0]).stem.split("_")[0]


def check_refusals(checks, sim):
    """What instaloader makes of refusals. Each has a session of its own: what it is told lasts."""
    sim.post("accounts/tea_house", kind="active")
    tea_house = sim.get("truth", name="tea_house")["id"]
    limited, out, challenged = (loader(sim, f"viewer_{number}") for number in (1, 2, 3))
    sim.post("rules", {"session": 1, "times": 1, "effect": {"row": "W1"}})
    with checks.raises("429 is a ConnectionException", ConnectionException, "429"):
        list(limited.get_stories([tea_house]))
    with checks.works("after 429"):
        checks.equal("after it the story is there", len(list(limited.get_stories([tea_house]))), 1)
    sim.post("sessions/2", state="logged_out")
    with checks.works("logged out"):
        checks.equal("logged out: test_login says so", out.test_login(), None)
        seen = list(out.get_stories([tea_house]))
        checks.equal("logged out: no story and no error, which is the trap", seen, [])
    sim.post("sessions/3", state="challenged")
    with checks.raises("a challenge ends the run", AbortDownloadException, "checkpoint_required"):
        list(challenged.get_stories([tea_house]))
