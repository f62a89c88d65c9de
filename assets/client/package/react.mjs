// wireside-client, MIT; to read it: /assets/client/wireside/index.js of a Wireside server
import{a as o}from"./parts/chunk-UUCZRORP.mjs";import{useEffect as c,useMemo as a,useSyncExternalStore as u}from"react";function i(e={}){let{url:r,conversation:s}=e,n=r&&String(r),t=a(()=>o(e),[n,s]);return c(()=>{t.options=e}),{...u(t.b,t.i,t.i),...t.S}}export{i as useAIWebSocket};
