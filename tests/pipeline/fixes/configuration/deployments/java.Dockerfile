FROM eclipse-temurin:21-jre
RUN groupadd --system spring && useradd --system --gid spring spring
ARG JAR=build/libs/app.jar
ADD ${JAR} /app.jar
ADD config/ /config/
EXPOSE 8080/tcp
ENTRYPOINT exec java $JAVA_OPTS -jar /app.jar
