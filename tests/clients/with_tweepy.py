"""What tweepy sees of the X API."""

import datetime

import tweepy

DAY = 86_400_000
EXPANSIONS = ["attachments.media_keys", "author_id", "referenced_tweets.id"]
MEDIA_FIELDS = ["type", "url", "preview_image_url", "duration_ms", "variants"]
TWEET_FIELDS = ["created_at", "attachments", "author_id", "referenced_tweets"]
NAMES = [f"acct_{number:06}" for number in range(60)]


def check(checks, sim):
    now = sim.get("health")["now"]
    # The search goes back 7 days, a timeline further.
    since = now - 6 * DAY
    truths = {name: sim.get("x_truth", name=name, since=since) for name in NAMES}
    by_kind = lambda kind: [name for name, truth in truths.items() if truth["kind"] == kind]
    # Those with the most posts first: they have several pages.
    active = sorted(by_kind("active"), key=lambda name: -len(truths[name]["posts"]))
    quiet = by_kind("no_posts")
    protected, gone = by_kind("protected"), by_kind("suspended") + by_kind("not_found")
    client = tweepy.Client(sim.bearer_token(0))

    with checks.works("users"):
        answer = client.get_users(usernames=NAMES, user_fields=["protected", "created_at"])
        ids = {user.username: user.id for user in answer.data}
        errors = sorted(error["value"] for error in answer.errors)
        there = sorted(set(NAMES) - set(gone))
        checks.equal(f"get_users: {len(ids)} of {len(NAMES)} are there", sorted(ids), there)
        checks.equal(f"get_users: {len(errors)} are errors", errors, sorted(gone))
        closed = sorted(user.username for user in answer.data if user.protected)
        checks.equal(f"get_users: {len(closed)} are protected", closed, sorted(protected))
    for name in active[:3]:
        with checks.works(f"user {name}"):
            user = client.get_user(username=name).data.id
            author = truths[name]["posts"][0]["author_id"]
            checks.equal(f"get_user: {name} is the author of its posts", user, author)
    for name in gone[:3]:
        checks.that(f"get_user: {name} is gone", is_gone(client, name))
    for name in active[:4] + quiet[:2]:
        with checks.works(f"timeline of {name}"):
            timeline(checks, client, ids[name], name, truths[name], since)
    with checks.works("protected timeline"):
        answer = client.get_users_tweets(ids[protected[0]])
        titles = [error["title"] for error in answer.errors]
        what = f"{protected[0]}: protected, so not authorized"
        checks.equal(what, (answer.data, titles), (None, ["Authorization Error"]))
    with checks.works("search"):
        search(checks, client, sim, since, active + quiet)


def is_gone(client, name):
    """Both are seen: an error in a 200, and a 404."""
    try:
        answer = client.get_user(username=name)
    except tweepy.NotFound:
        return True
    return answer.data is None and answer.errors[0]["value"] == name


def timeline(checks, client, user, name, truth, since):
    """All pages of a timeline: its own posts with media are the truth."""
    pages = tweepy.Paginator(
        client.get_users_tweets,
        user,
        start_time=moment(since),
        expansions=EXPANSIONS,
        media_fields=MEDIA_FIELDS,
        tweet_fields=TWEET_FIELDS,
        max_results=5,
    )
    pages = list(pages)
    posts = [post for page in pages for post in page.data or []]
    own = [post for post in posts if post.attachments and not post.referenced_tweets]
    what = f"{name}: {len(posts)} posts on {sheets(pages)}, {len(own)} of its own with media"
    checks.equal(what, [said(post) for post in own], [told(post) for post in truth["posts"]])
    spoken, named = media(pages)
    checks.equal(f"{name}: {len(named)} media included, or said to be missing", spoken, named)


def media(pages):
    """The keys of media that the pages speak about, and those that the posts name."""
    spoken, named = set(), set()
    for page in pages:
        spoken |= {item.media_key for item in page.includes.get("media", [])}
        spoken |= {error["value"] for error in page.errors}
        for post in page.data or []:
            named |= set((post.attachments or {}).get("media_keys", []))
    return spoken, named


def search(checks, client, sim, since, names):
    """All pages of a search: the truth is what matches."""
    names = names[:12]
    authors = " OR ".join(f"from:{name}" for name in names)
    queries = {
        "#tea has:media": "#tea has:media",
        f"{len(names)} authors, has:media": f"({authors}) has:media -is:retweet",
    }
    for what, query in queries.items():
        pages = tweepy.Paginator(
            client.search_recent_tweets,
            query,
            start_time=moment(since),
            expansions=EXPANSIONS,
            media_fields=MEDIA_FIELDS,
            tweet_fields=TWEET_FIELDS,
            max_results=10,
        )
        pages = list(pages)
        posts = [post for page in pages for post in page.data or []]
        truth = sim.get("x_truth", query=query, since=since)
        checks.equal(
            f"search for {what}: {len(posts)} posts on {sheets(pages)}",
            [said(post) for post in posts],
            [told(post) for post in truth["posts"]],
        )


def sheets(pages):
    return f"{len(pages)} page{'s'[: len(pages) != 1]}"


def said(post):
    return post.id, post.author_id, int(post.created_at.timestamp())


def told(post):
    return post["id"], post["author_id"], post["at"] // 1000


def moment(millis):
    return datetime.datetime.fromtimestamp(millis / 1000, datetime.timezone.utc)


def check_refusals(checks, sim):
    """What tweepy makes of refusals."""
    client, limited = (tweepy.Client(sim.bearer_token(number)) for number in (0, 1))
    sim.post("rules", {"api": "x", "session": 1, "times": 1, "effect": {"row": "X429-window"}})
    with checks.raises("429 is TooManyRequests", tweepy.TooManyRequests):
        limited.get_user(username=NAMES[0])
    with checks.raises("an unknown token is Unauthorized", tweepy.Unauthorized):
        tweepy.Client("no token").get_user(username=NAMES[0])
    with checks.raises("a bad name is a BadRequest", tweepy.BadRequest):
        client.get_user(username="no-name")
