# syntax=docker/dockerfile:1

# Boatlift's image holds one static binary and nothing else: no shell, no package, no certificates (they are in the binary, as are
# time zones and policies).
#
#   docker build --build-arg VERSION=0.1.0 --tag registry.example.com/boatlift:0.1.0 .
#   docker run --read-only --cap-drop=ALL --publish 8080:8080 --volume boatlift:/data --volume "$PWD":/etc/boatlift:ro IMAGE
#
# The folder at /etc/boatlift has the boatlift.yaml, with `listen: ":8080"`.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/boatlift ./cmd/boatlift
RUN mkdir /out/data

FROM scratch
COPY --from=build /out/boatlift /boatlift
# A new volume takes its owner from here.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
WORKDIR /data
VOLUME /data
# For the bot, and for commands such as `docker exec NAME /boatlift status`.
ENV BOATLIFT_DATA=/data
EXPOSE 8080
ENTRYPOINT ["/boatlift"]
CMD ["serve", "--config=/etc/boatlift/boatlift.yaml"]
