export const BASE = '/service';
export const files = '/files';
export const api = (version) => `/api/${version}`;
