# docker build -t myriad-bench . && docker run --rm -v "$PWD/results:/bench/results" myriad-bench
FROM python:3.13-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /bench
COPY . .
RUN make install
CMD ["make", "run"]
