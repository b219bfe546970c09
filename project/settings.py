"""Settings. Secrets and addresses come from the environment; ``docs/production.md`` lists them all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from project.console import UNFOLD  # noqa: F401  (a setting: the look of the admin)
from project.environment import ROOT, load, secret_key
from project.logs import logging_config

env = load()

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = secret_key(env, debug=DEBUG)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "project",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_results",
    "django_htmx",
    "ninja",
    "outbox",
    "outbox.saga",
    "orders",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "project.security.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "project.requests.RequestContextMiddleware",
    "orders.web.not_allowed.NotAllowedMiddleware",
    "orders.web.database_away.DatabaseAwayMiddleware",
]

ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "orders.web.baskets.basket_count",
            ]
        },
    }
]

# --- Data ------------------------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default="postgres://todoke@127.0.0.1:5432/todoke")}
POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=0)
DATABASES["default"].update(
    # The web process's threads, and what waits for news of orders, share a pool.
    CONN_MAX_AGE=0 if POOL_SIZE else env.int("DATABASE_CONN_MAX_AGE", default=60),
    CONN_HEALTH_CHECKS=True,
    OPTIONS={
        # A dead connection is noticed on either side, and a process that hangs in a transaction is ended by the
        # server: its locks would outlive every lease.
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "options": "-c idle_in_transaction_session_timeout=60s -c lock_timeout=15s",
    },
)
if POOL_SIZE:
    from project.pool.base import POOL  # other databases do without psycopg

    DATABASES["default"]["ENGINE"] = "project.pool"
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": POOL_SIZE, **POOL}
WEB_THREADS = env.int("WEB_THREADS", default=4)  # requests at work at once in a web process; others wait
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People ----------------------------------------------------------------------------------------------------
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "orders:catalogue"
LOGOUT_REDIRECT_URL = "orders:catalogue"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ja", "日本語")]
TIME_ZONE = "UTC"
USE_TZ = True

# --- Static files and mail -------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(ROOT / "staticfiles")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if not DEBUG
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 10  # seconds: a mail server that hangs must not hold a worker
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Todoke <shop@example.org>")

# --- Security --------------------------------------------------------------------------------------------------
HTTPS = env.bool("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
if env.bool("BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"

# --- Celery: each of these answers a way in which work was lost, doubled or stuck elsewhere ---------------------
BROKER_URL = env.str("BROKER_URL", default="redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = BROKER_URL
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]  # no pickle: whoever can write to the broker must not be able to run code
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True  # name, arguments and worker are kept with each result, for the admin
CELERY_RESULT_EXPIRES = 7 * 24 * 3600
CELERY_TIMEZONE = TIME_ZONE
CELERY_ENABLE_UTC = True
CELERY_TASK_ACKS_LATE = True  # acknowledged after the work: a dead worker's message comes back
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # attempts are counted in the outbox, whose lease brings it back
CELERY_TASK_TRACK_STARTED = False  # one write less per task; Flower sees the start through events
CELERY_TASK_SEND_SENT_EVENT = False  # the outbox row itself says when it was sent
CELERY_WORKER_SEND_TASK_EVENTS = True  # for Flower
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # what is prefetched waits behind the task at work
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10.0  # tasks at work may end before a warm stop turns cold
CELERY_WORKER_ENABLE_SOFT_SHUTDOWN_ON_IDLE = True
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False  # effects are fenced: let them finish
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a broker that is away for a night is no reason to end
CELERY_BROKER_POOL_LIMIT = 10
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,  # the outbox resends sooner; this only bounds what Celery itself redelivers
    "socket_timeout": 5,  # a broker that hangs is a broker that is away
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_TASK_ROUTES = {
    name: {"queue": "outbox"}
    for name in ("outbox.dispatch", "outbox.prune", "outbox.saga.prune", "outbox.saga.sweep")
}

# --- The platform ----------------------------------------------------------------------------------------------
OUTBOX: dict[str, Any] = {
    "RESEND_AFTER": env.float("OUTBOX_RESEND_AFTER", default=60.0),
    "LEASE": env.float("OUTBOX_LEASE", default=30.0),
    "UNKNOWN_TYPE_PATIENCE": env.float("OUTBOX_UNKNOWN_TYPE_PATIENCE", default=300.0),
    "RESCUE_INTERVAL": env.float("OUTBOX_RESCUE_INTERVAL", default=5.0),
    "DISPATCH_INTERVAL": env.float("OUTBOX_DISPATCH_INTERVAL", default=5.0),
    "RETENTION": env.float("OUTBOX_RETENTION", default=7 * 24 * 3600.0),
    "PRUNE_INTERVAL": env.float("OUTBOX_PRUNE_INTERVAL", default=30.0),
    "SAGA_SWEEP_INTERVAL": env.float("OUTBOX_SAGA_SWEEP_INTERVAL", default=5.0),
    "SAGA_RETENTION": env.float("OUTBOX_SAGA_RETENTION", default=90 * 24 * 3600.0),
    "ENFORCE": env.str("OUTBOX_ENFORCE", default="raise"),
    "WAKE_UP": tuple(env.list("OUTBOX_WAKE_UP", default=["direct", "task"])),
    "PERSONAL_FIELDS": ("email", "recipient", "street", "postcode", "town", "phone", "address", "card"),
}
CELERY_BEAT_SCHEDULE = {
    # Without "expires", which two machines' clocks would decide: tasks that enough others wait beside are not sent.
    name: {"task": task, "schedule": seconds}
    for name, task, seconds in (
        ("dispatch the outbox", "outbox.dispatch", OUTBOX["DISPATCH_INTERVAL"]),
        ("prune the outbox", "outbox.prune", OUTBOX["PRUNE_INTERVAL"]),
        ("sweep the sagas", "outbox.saga.sweep", OUTBOX["SAGA_SWEEP_INTERVAL"]),
        ("prune the history of sagas", "outbox.saga.prune", OUTBOX["PRUNE_INTERVAL"]),
    )
}

# --- Outside services ------------------------------------------------------------------------------------------
SANDBOX_URL = env.str("SANDBOX_URL", default="http://127.0.0.1:8100")
SANDBOX_TOKEN = env.str("SANDBOX_TOKEN", default="")
GATEWAY_TIMEOUT_SECONDS = env.float("GATEWAY_TIMEOUT_SECONDS", default=3.0)
STEP_TIMEOUT_SECONDS = env.float("STEP_TIMEOUT_SECONDS", default=20.0)  # then the attempt counts as dead
FLOWER_URL = env.str("FLOWER_URL", default="")

LOGGING = logging_config(
    level=env.str("LOG_LEVEL", default="INFO"), json=env.bool("LOG_JSON", default=not DEBUG)
)
