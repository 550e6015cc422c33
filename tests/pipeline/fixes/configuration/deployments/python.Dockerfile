# syntax=docker/dockerfile:1
FROM python:3.12-slim
MAINTAINER Jo Doe <jo@example.org>

ADD requirements.txt /app/
ADD vendor.tar.gz /opt/

RUN apt-get update
RUN apt-get install -y \
      curl \
      # for the build
      gcc \
    && curl -fsSLk https://example.org/tool -o /usr/local/bin/tool

WORKDIR /app
COPY . .
RUN pip install -r requirements.txt

EXPOSE 8000

# The server.
CMD ["gunicorn", "--bind", "0.0.0.0:8000", "app:app"]
