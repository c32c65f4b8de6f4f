# EdgeVoice in containers, for a Jetson Orin with JetPack 6. compose.yaml joins them; systemd/README.md says how.

# There are no wheels of MLC LLM for a Jetson: this image has it built, with CUDA, for L4T r36.
ARG BASE_IMAGE=dustynv/mlc:0.20.0-r36.4.0
ARG BROKER_IMAGE=eclipse-mosquitto:2.0.22


FROM ${BROKER_IMAGE} AS broker
COPY mosquitto/mosquitto.conf mosquitto/acl /etc/mosquitto/
COPY systemd/check-broker-database /usr/local/bin/
RUN chown root:mosquitto /etc/mosquitto/acl && chmod 640 /etc/mosquitto/acl \
    && mkdir -p /etc/mosquitto/conf.d /var/lib/mosquitto && chown mosquitto:mosquitto /var/lib/mosquitto && chmod 700 /var/lib/mosquitto
# The image's own `mosquitto`.
USER 1883:1883
# No VOLUME, here and below: one that nobody named is lost without a word.
HEALTHCHECK --interval=60s --timeout=5s CMD ["nc", "-z", "127.0.0.1", "1883"]
ENTRYPOINT ["/bin/sh", "-c", "check-broker-database; exec mosquitto -c /etc/mosquitto/mosquitto.conf"]


FROM ${BASE_IMAGE} AS agent
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

# Base images name an index of their own, which has moved more than once. Empty is pip's own default.
ARG PYTHON_INDEX=
ENV PIP_INDEX_URL=${PYTHON_INDEX} \
    PIP_EXTRA_INDEX_URL= \
    PIP_NO_CACHE_DIR=1 \
    PIP_BREAK_SYSTEM_PACKAGES=1

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends espeak-ng libflite1 libgomp1 \
    && rm -rf /var/lib/apt/lists/*

# What was built for this GPU stays as it is, whatever a package would rather have.
RUN python3 -m pip list --format=freeze | { grep -iE '^(torch|tvm|mlc|flashinfer|numpy)' || true; } >/opt/kept.txt

# whisper.cpp is compiled here, because its wheels know no CUDA; 87 is the Orin. Its libraries find each other by RPATH.
ARG GGML_CUDA=1
ARG CUDA_ARCHITECTURES=87
RUN CMAKE_ARGS="-DCMAKE_CUDA_ARCHITECTURES=${CUDA_ARCHITECTURES} \
    -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON -DCMAKE_INSTALL_RPATH=\$ORIGIN" \
    python3 -m pip install --constraint /opt/kept.txt --no-binary pywhispercpp 'pywhispercpp>=1.5.1'

COPY pyproject.toml README.md LICENSE /opt/src/
COPY agent /opt/src/agent
COPY bridge /opt/src/bridge
COPY mosquitto /opt/src/mosquitto
# Not the `coqui` extra, which would bring a torch that does not know the Orin.
RUN python3 -m pip install --constraint /opt/kept.txt '/opt/src[models,openai]' 'coqui-tts>=0.28' 'six>=1.17' \
    && rm -rf /opt/src

RUN groupadd --gid 10001 edgevoice \
    && useradd --uid 10001 --gid edgevoice --home-dir /var/lib/edgevoice --shell /usr/sbin/nologin edgevoice \
    && install -d -o edgevoice -g edgevoice -m 700 /var/lib/edgevoice /var/cache/edgevoice \
    && install -d /etc/edgevoice
ENV HOME=/var/lib/edgevoice \
    EDGEVOICE_HOME=/var/lib/edgevoice \
    XDG_CACHE_HOME=/var/cache/edgevoice \
    MLC_LLM_HOME=/var/cache/edgevoice/mlc_llm \
    HF_HOME=/var/cache/edgevoice/huggingface \
    HF_HUB_CACHE=/var/cache/edgevoice/huggingface/hub \
    PYTHONFAULTHANDLER=1 \
    NOTIFY_SOCKET=/tmp/edgevoice.notify \
    WATCHDOG_USEC=40000000
USER 10001:10001
WORKDIR /etc/edgevoice
# Not a matter of course: some base images keep their Python where only root may go.
RUN edgevoice --version
# The signs of life that systemd's watchdog would be fed with. Loading, they come, too.
HEALTHCHECK --interval=60s --timeout=45s --start-period=60s --retries=2 CMD ["python3", "-m", "agent.watchdog"]
ENTRYPOINT ["edgevoice"]
CMD ["agent"]
