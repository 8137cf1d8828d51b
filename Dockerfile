# The locked releases in an image: docker build -t expression-prep --build-arg DEVICE=cuda .
# docs/containers.md says how it is run, by any user, and how small `EXTRAS=` makes it.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
# cpu: torch without CUDA. cuda: with it; an NVIDIA driver on the host is all that it needs besides.
ARG DEVICE=cpu
# all, train or s3; empty for what reads, aligns, splits and shards, which has no torch.
ARG EXTRAS=all
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /build
COPY requirements.lock ./
# uv is one of the locked releases; pip fetches that file by its hash.
RUN sed -n '/^uv==/,/[^\\]$/p' requirements.lock > uv.txt \
    && python -m pip install --no-cache-dir --require-hashes --no-deps -r uv.txt \
    && python -m venv /opt/prep
COPY pyproject.toml README.md LICENSE ./
COPY pipeline pipeline
COPY models models
COPY stages stages
# The lock as constraints: only what the package asks for is installed, in these releases, and their hashes are checked.
# The builds without CUDA of torch and torchvision are the same releases from another index, so of these alone no hash.
RUN case "$DEVICE" in \
        cuda) cp requirements.lock used.lock; backend= ;; \
        cpu) sed -E '/^torch(vision)?==/,/[^\\]$/d' requirements.lock > used.lock; backend=--torch-backend=cpu ;; \
        *) echo "DEVICE: expected cpu or cuda, not $DEVICE" >&2; exit 1 ;; \
    esac \
    && uv pip install --python /opt/prep/bin/python --constraints used.lock --build-constraints requirements.lock \
        $backend "/build${EXTRAS:+[$EXTRAS]}"

FROM python:${PYTHON}-slim
# git: prep trace names the commits of a hash, and DVC keeps its experiments there.
RUN apt-get update \
    && apt-get install --no-install-recommends --yes git \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/prep /opt/prep
# Whoever runs it (--user) may have no name and no home: DVC asks for both. The project belongs to that user, not to git's.
ENV PATH=/opt/prep/bin:$PATH HOME=/tmp USER=prep GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=*
USER 1000:1000
WORKDIR /project
ENTRYPOINT ["prep"]
CMD ["--help"]
