# The binary is built outside (make image): a static one needs nothing else in the image.
FROM scratch
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY reconciler /reconciler
# 65532 is the customary non-root user of minimal images.
USER 65532:65532
ENTRYPOINT ["/reconciler"]
CMD ["run"]
