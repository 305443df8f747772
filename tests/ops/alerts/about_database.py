"""Stories about Postgres."""

from tests.ops.alerts.story import Proof, Story

PROOFS = (
    Proof(
        alert="RefreshdDatabaseDown",
        severity="warning",
        summary="The ledger's database does not answer.",
        first="refreshd doctor",
        panel="refreshd-vendor?viewPanel=3",
        stories=(
            Story(
                title="one copy cannot reach it",
                series={"refreshd_database_up": "1x20", "refreshd_database_up@b": "0x20"},
                quiet=("4m",),
                fires=("6m",),
                says="A copy of refreshd cannot reach Postgres. Without its ledger refreshd sends nothing, and waits.",
            ),
            Story(
                title="all reach it",
                series={"refreshd_database_up": "1x60", "refreshd_database_up@b": "1x60"},
                quiet=("60m",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdDatabasePoolSaturated",
        severity="warning",
        summary="Nearly all database connections are in use.",
        first="refreshd doctor",
        panel="refreshd-vendor?viewPanel=13",
        stories=(
            Story(
                title="19 of 20 in use",
                series={
                    'refreshd_database_pool_connections{state="in_use"}': "19x20",
                    'refreshd_database_pool_connections{state="in_use"}@b': "0x20",
                    "refreshd_database_pool_max_connections": "20x20",
                    "refreshd_database_pool_max_connections@b": "10x20",
                },
                quiet=("13m",),
                fires=("17m",),
                says="95% of the leader's connections are in use: queries are slow, or something blocks them.",
            ),
            Story(
                title="17 of 20 in use",
                series={
                    'refreshd_database_pool_connections{state="in_use"}': "17x60",
                    'refreshd_database_pool_connections{state="idle"}': "20x60",
                    "refreshd_database_pool_max_connections": "20x60",
                },
                quiet=("60m",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdSchemaMismatch",
        severity="warning",
        summary="The ledger's schema is not the one that this refreshd expects.",
        first="refreshd migrate --check",
        panel="refreshd-vendor?viewPanel=4",
        copy="b",
        stories=(
            Story(
                title="the second copy is made for an older schema",
                series={
                    "refreshd_database_schema_version": "2x20",
                    "refreshd_database_schema_expected_version": "2x20",
                    "refreshd_database_schema_version@b": "2x20",
                    "refreshd_database_schema_expected_version@b": "1x20",
                },
                quiet=("4m",),
                fires=("6m",),
                says="Schema 2 was found by 10.1.0.8:9877, which is made for another one.",
            ),
            Story(
                title="all agree",
                series={
                    "refreshd_database_schema_version": "2x60",
                    "refreshd_database_schema_expected_version": "2x60",
                },
                quiet=("60m",),
            ),
        ),
    ),
    Proof(
        alert="RefreshdNotifyPathDeaf",
        severity="warning",
        summary="Notifications of the database do not arrive.",
        first="refreshd doctor",
        panel="refreshd-vendor?viewPanel=17",
        stories=(
            Story(
                title="one copy hears nothing",
                series={"refreshd_notify_path_up": "1x20", "refreshd_notify_path_up@b": "0x20"},
                quiet=("13m",),
                fires=("17m",),
                says="refreshd polls instead: clients who leave are noticed once a pass, not at once.",
            ),
            Story(
                title="all hear",
                series={"refreshd_notify_path_up": "1x60", "refreshd_notify_path_up@b": "1x60"},
                quiet=("60m",),
            ),
        ),
    ),
)
