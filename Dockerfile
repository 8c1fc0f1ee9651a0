# The same bytes as `make build` and `make release`: the folder .git belongs into the build's
# context, since the toolchain writes version and revision into the programs.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -o /out/ ./cmd/munimentd ./cmd/muniment

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usr/share/zoneinfo /usr/share/zoneinfo
COPY --from=build /out/munimentd /out/muniment /
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["/munimentd"]
CMD ["serve", "--dir", "/var/lib/muniment"]
