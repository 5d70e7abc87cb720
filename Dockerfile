# audiosim with its kernels compiled, for `docker run --rm -v "$PWD:/data" audiosim compare ref.wav test.wav`.
# METRICS: those to compile kernels for, or all; by default those of `audiosim compare` without -m.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY audiosim audiosim
COPY man man
COPY completions completions
RUN python -m venv /opt/audiosim && /opt/audiosim/bin/pip install --no-cache-dir .
WORKDIR /
ARG METRICS=""
# On x86-64 the kernels become part of the package, for any processor with AVX2; elsewhere they are this machine's.
ENV XDG_CACHE_HOME=/opt/cache
RUN mkdir /opt/cache \
    && if [ "$(uname -m)" = x86_64 ]; then /opt/audiosim/bin/python -m audiosim.build_cache ${METRICS}; \
    else /opt/audiosim/bin/audiosim warm ${METRICS}; fi \
    && chmod -R a+rwX /opt/cache

FROM python:${PYTHON}-slim-bookworm
COPY --from=build /opt /opt
ENV PATH=/opt/audiosim/bin:$PATH XDG_CACHE_HOME=/opt/cache HOME=/tmp
RUN useradd --no-create-home --uid 10001 audiosim
USER audiosim
WORKDIR /data
ENTRYPOINT ["audiosim"]
CMD ["--help"]
