ARG NODE=20
FROM node:${NODE}-alpine AS build
WORKDIR /src
ADD package.json package-lock.json ./
RUN apk add git && npm ci
COPY . .
RUN npm run build

FROM node:${NODE}-alpine
WORKDIR /srv
COPY --from=build /src/dist ./dist
EXPOSE 3000
ENTRYPOINT ["node", "dist/server.js"]
