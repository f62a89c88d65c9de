// @ts-check
// The kind of chat that the page shows. The composer sets it; other components read it.
import { reactive } from "vue";

// `isTemporary`: nothing of the chat is stored, by the server or by the browser. `isCovered`: a list or a form of the
// message box is open above the page; a click next to it closes it and does nothing else. `canSpeak`: there is voice input.
export const chat = reactive({ isTemporary: false, isCovered: false, canSpeak: false });

/** The address of a new chat that is not stored, as the detail of the event `wireside:open`. */
export const TEMPORARY = "?temporary=1";
