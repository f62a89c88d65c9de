// Values of this browser in `localStorage`, which may be full or blocked.

export const memory = {
  read(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem("wireside." + key)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  readText(key) {
    try {
      return localStorage.getItem("wireside." + key) || "";
    } catch {
      return "";
    }
  },
  writeText(key, text) {
    try {
      text ? localStorage.setItem("wireside." + key, text) : localStorage.removeItem("wireside." + key);
    } catch {
      // it applies until the page is left
    }
  },
};
