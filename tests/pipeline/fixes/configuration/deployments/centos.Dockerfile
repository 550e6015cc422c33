FROM centos:7
USER root
RUN sudo yum install -y java-11-openjdk-headless && \
    wget --no-check-certificate -q https://example.org/app.jar -O /opt/app.jar
RUN <<EOF
yum install -y nc
EOF
EXPOSE 8443
CMD java -jar /opt/app.jar
