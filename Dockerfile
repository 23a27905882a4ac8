# weekbot as a small image: `docker build -t weekbot .`
# The tag says what it is, the digest that it is always the same; docs/operating.md tells how to move both.
FROM python:3.13.15-slim-trixie@sha256:afd91e25d0d1b40e4c92bf716154ec3c4a9f0de1ce2a5c3663007fb6918eaf9c AS base

FROM base AS build
WORKDIR /src
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m venv --without-pip /opt/weekbot \
    && pip install --no-cache-dir --require-hashes --only-binary=:all: -r requirements/build.txt \
    && pip --python /opt/weekbot install --no-cache-dir --require-hashes --only-binary=:all: -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY content content
COPY src src
# Which commit this is: `docker build --build-arg COMMIT="$(git rev-parse HEAD)" -t weekbot .`
ARG COMMIT=unknown
RUN echo "$COMMIT" > src/weekbot/COMMIT \
    && pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/weekbot install --no-cache-dir --no-deps dist/*.whl

FROM base
RUN pip uninstall --yes pip \
    && useradd --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin weekbot \
    && install -d -o weekbot -g weekbot -m 700 /data
COPY --from=build /opt/weekbot /opt/weekbot
# Defaults only: what is set in any other way, also in a secret file, goes before them.
ENV PATH=/opt/weekbot/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WEEKBOT_DEFAULT_DATABASE_URL=sqlite:////data/weekbot.db \
    WEEKBOT_DEFAULT_HEALTH_PORT=9464
USER 10001:10001
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", "\
import http.client; from weekbot.settings import load_settings; \
connection = http.client.HTTPConnection('127.0.0.1', load_settings().health_port, timeout=4); \
connection.request('GET', '/ready'); \
raise SystemExit(connection.getresponse().status != 200)"]
ENTRYPOINT ["weekbot"]
CMD ["run"]
