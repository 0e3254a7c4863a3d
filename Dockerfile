FROM python:3.12-slim AS build
WORKDIR /src
# The environment has no pip of its own, so none reaches the final image.
RUN python -m venv --without-pip /opt/maquette
COPY . .
RUN --mount=type=cache,target=/pip-cache \
    pip --cache-dir /pip-cache --python /opt/maquette/bin/python install --no-compile --constraint constraints.txt .
# Of Tencent's SDK, which holds 390 MB of services, only those that Maquette may call.
RUN find /opt/maquette/lib/python3.12/site-packages/tencentcloud -mindepth 1 -maxdepth 1 -type d \
    ! -name common ! -name ai3d ! -name aiart -exec rm -r {} +
# Byte code is made here: the final image's files are never written to.
RUN /opt/maquette/bin/python -m compileall -q /opt/maquette/lib

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /var/lib/maquette --shell /usr/sbin/nologin maquette \
    && install --directory --owner=maquette --group=maquette /var/lib/maquette /var/lib/maquette/data
COPY --from=build /opt/maquette /opt/maquette
ENV PATH=/opt/maquette/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# What the program writes by default lies in data/ here.
WORKDIR /var/lib/maquette
USER maquette
EXPOSE 8000
CMD ["maquette", "serve", "--host", "0.0.0.0"]
