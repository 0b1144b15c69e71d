# An image volume for CloudNativePG (PostgreSQL 18 and newer): the extension's files and nothing else, in the layout that extension_control_path and
# dynamic_library_path of its operator expect. docker build -f packaging/cloudnative-pg.Dockerfile --build-arg PG=18 -t crm-profile:1.0-18 .
ARG PG=18
FROM postgres:${PG}-bookworm AS build
ARG PG
RUN apt-get update && apt-get install -y --no-install-recommends gcc make libc6-dev postgresql-server-dev-${PG}
WORKDIR /src
COPY . .
RUN make with_llvm=no && make install with_llvm=no DESTDIR=/out \
	&& mkdir -p /image/lib /image/share \
	&& cp /out/usr/lib/postgresql/${PG}/lib/crm_profile.so /image/lib/ \
	&& cp -r /out/usr/share/postgresql/${PG}/extension /image/share/

FROM scratch
COPY --from=build /image/ /
