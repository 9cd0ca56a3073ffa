# One image for migrate, api, worker and dispatcher; the command says which.
FROM python:3.13-slim AS build
WORKDIR /src
RUN pip install --no-cache-dir hatchling==1.33.0
COPY pyproject.toml README.md LICENSE ./
COPY pricing pricing
COPY storage storage
COPY worker worker
RUN hatchling build -t wheel

FROM python:3.13-slim
ENV PYTHONUNBUFFERED=1
COPY .ci/requirements-production.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --require-hashes --requirement /tmp/requirements.txt
COPY --from=build /src/dist/*.whl /tmp/
RUN pip install --no-cache-dir --no-deps /tmp/*.whl \
 && useradd --uid 10001 --no-create-home holdfast \
 && install --directory --owner holdfast --mode 0700 /data
USER holdfast
WORKDIR /data
ENTRYPOINT ["holdfast"]
