// wireside-client, MIT; to read it: /assets/client/wireside/index.js of a Wireside server
var t=/: (\d{3})$/,a=e=>e.replace(/^ws/,"http").replace(/\/ws\/ai-chat\/?(\?.*)?$/,"");export{t as a,a as b};
