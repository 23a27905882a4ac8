# weekbot as a small image: build with `docker build -t weekbot .`
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements/run.txt requirements/
RUN python -m venv /opt/weekbot && /opt/weekbot/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY content content
RUN /opt/weekbot/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 weekbot && install -d -o weekbot /data
COPY --from=build /opt/weekbot /opt/weekbot
ENV PATH=/opt/weekbot/bin:$PATH PYTHONUNBUFFERED=1 WEEKBOT_DATABASE_URL=sqlite:////data/weekbot.db
USER weekbot
WORKDIR /data
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["weekbot"]
CMD ["run"]
