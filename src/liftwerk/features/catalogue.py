"""What there is to know about declared features: what they read, for whom, and where they stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from msgspec import Struct

from liftwerk.definitions.project import Project
from liftwerk.events.definition import known_events
from liftwerk.events.entities.definition import ENTITIES
from liftwerk.features.as_of import with_inputs
from liftwerk.features.checks.definition import FeatureChecks
from liftwerk.features.compile import compile_features
from liftwerk.features.condition import columns_of_event, parse_condition
from liftwerk.features.definition import FEATURES, FeatureDefinition, value_type
from liftwerk.features.files import file_of
from liftwerk.features.version import feature_version
from liftwerk.features.views import FEATURE_VIEWS
from liftwerk.privacy.tags import Tag


class Entry(Struct, frozen=True):
    """One feature.

    Attributes
    ----------
    name, entity, owner, description : str
        As declared.
    says : str
        What it is, in a few words.
    version : str
        The hash of all that its values depend on.
    reads : tuple of str
        ``EVENT.PROPERTY`` of every property that decides a value, or the event alone.
    privacy : str
        The strongest tag among these.
    views : tuple of str
        The views that keep it ready.
    purposes : tuple of str
        What those are for.
    checks : FeatureChecks
        What values must satisfy.
    type : str
        Of its values, as properties name theirs.
    refresh : str
        ``streaming`` where a view lets its values follow what is collected; else ``batch``.
    deprecated : str or None
        The day from which nothing may use it.
    use : str or None
        What to use in its place.
    """

    name: str
    entity: str
    says: str
    version: str
    reads: tuple[str, ...]
    privacy: Tag
    views: tuple[str, ...]
    purposes: tuple[str, ...]
    checks: FeatureChecks
    owner: str = ""
    description: str = ""
    type: str = "number"
    refresh: str = "batch"
    deprecated: str | None = None
    use: str | None = None


def catalogue(project: Project, search: str = "") -> list[Entry]:
    """List the declared features.

    Parameters
    ----------
    project : Project
    search : str
        Only those in which this occurs: in the name, the words, the owner or what is read.
    """
    every = [entry_of(project, name) for name in project.get(FEATURES)]
    wanted = search.casefold()
    return [entry for entry in every if wanted in _text(entry).casefold()]


def entry_of(project: Project, name: str) -> Entry:
    """Tell of one feature.

    Raises
    ------
    UnknownName
        If no such feature is declared.
    """
    feature = project.lookup(FEATURES, name)
    reads, tags = [], []
    for read in with_inputs(project, [name]).values():
        for what, tag in _reads(project, read):
            reads.append(what)
            tags.append(tag)
    views = {
        view: declared.purpose
        for view, declared in project.get(FEATURE_VIEWS).items()
        if name in declared.features
    }
    order = get_args(Tag)
    deprecated = None
    if feature.deprecated is not None:
        deprecated = str(feature.deprecated)
    return Entry(
        name=name,
        entity=feature.entity,
        says=in_words(feature),
        version=feature_version(project, name),
        reads=tuple(dict.fromkeys(reads)),
        privacy=max(tags, key=order.index, default="none"),
        views=tuple(views),
        purposes=tuple(dict.fromkeys(views.values())),
        checks=feature.checks,
        owner=feature.owner,
        description=feature.description,
        type=value_type(project, feature),
        refresh="streaming" if views else feature.refresh,
        deprecated=deprecated,
        use=feature.use,
    )


def statements(project: Project, name: str, dialect: str) -> list[str]:
    """Return the SQL that makes a feature, for ``duckdb`` or ``pyspark``.

    Returns
    -------
    list of str
        One for each event that it, or a feature that it reads, is made of.
    """
    features = with_inputs(project, [name])
    own = [one for one in features.values() if one.sql is not None]
    plans = compile_features(
        features, known_events(project), project.currency, project.get(ENTITIES)
    )
    written = [file_of(project, one).read_text("utf-8").rstrip().rstrip(";") for one in own]
    return [*written, *(plan.sql(dialect) for plan in plans)]


def in_words(feature: FeatureDefinition) -> str:
    """Say what a feature is.

    Examples
    --------
    >>> from liftwerk.definitions.typed import Duration
    >>> spent = FeatureDefinition("customer", "order", "sum", "revenue", Duration("90d"))
    >>> in_words(spent)
    'sum of order.revenue in 90d'
    """
    if feature.expression is not None:
        return feature.expression
    if feature.request is not None:
        return f"a {feature.request} that comes with the request"
    if feature.from_ is None:
        [made_by] = [file for file in (feature.sql, feature.python) if file is not None]
        return f"{made_by} of {', '.join(feature.inputs)}"
    words = f"{feature.aggregate} of {feature.from_}"
    if feature.property is not None:
        words += f".{feature.property}"
    if feature.when is not None:
        words += f" with {feature.when}"
    if feature.where is not None:
        words += f" where {feature.where}"
    if feature.window is not None:
        words += f" in {feature.window}"
    if feature.half_life is not None:
        words += f", halved each {feature.half_life}"
    return words


def reads_of(project: Project, feature: FeatureDefinition) -> Iterable[tuple[str, str]]:
    """Yield what a feature itself reads of events, and what it does with it.

    Yields
    ------
    (str, str)
        ``EVENT`` or ``EVENT.PROPERTY`` (``EVENT.LIST.FIELD`` of unnested items), and why; nothing
        of an expression.
    """
    for given in feature.inputs:
        yield given, "is made of it"
        for key in known_events(project)[given].properties:
            yield f"{given}.{key}", "may read it"
    if feature.from_ is None:
        return
    event = known_events(project)[feature.from_]
    columns = columns_of_event(event, project.currency, feature.unnest)
    asked = [(feature.property, f"takes the {feature.aggregate} of it")]
    asked += [(feature.unnest, "counts each item of it")]
    asked += [(part, "is about it") for part in feature.by]
    for text, why in ((feature.where, "counts where it holds"), (feature.when, "asks for it")):
        if text is not None:
            asked += [(name, why) for name in parse_condition(text, columns).names]
    yield feature.from_, f"takes the {feature.aggregate} of it"
    for name, why in asked:
        root = (name or "").partition(".")[0]
        if root in event.properties:
            yield f"{feature.from_}.{name}", why


def _reads(project: Project, feature: FeatureDefinition) -> Iterable[tuple[str, Tag]]:
    for read, _ in reads_of(project, feature):
        name, *keys = read.split(".")
        tag: Tag = "none"
        if keys:
            tag = known_events(project)[name].properties[keys[0]].privacy
        yield read, tag


def _text(entry: Entry) -> str:
    return " ".join((entry.name, entry.says, entry.description, entry.owner, *entry.reads))
