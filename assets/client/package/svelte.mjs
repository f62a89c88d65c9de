// wireside-client, MIT; to read it: /assets/client/wireside/index.js of a Wireside server
import{a as r}from"./parts/chunk-UUCZRORP.mjs";import{derived as a,readable as m}from"svelte/store";function u(o={}){let e=r(o),s=m(e.i(),t=>{if(globalThis.document)return e.b(()=>t(e.i()))}),n=Object.keys(e.i()).map(t=>[t,a(s,c=>c[t])]);return{...Object.fromEntries(n),...e.S}}export{u as useAIWebSocket};
