"""Every word of the interface, in one catalogue; a language without a word borrows the English."""

from __future__ import annotations

from collections.abc import Mapping

from wireside_ui.components.transcript import WORDS as TRANSCRIPT_WORDS

RIGHT_TO_LEFT = frozenset({"ar"})

ENGLISH: Mapping[str, str] = {
    **TRANSCRIPT_WORDS,
    "tagline": "Ask anything. The answer keeps going, even if you look away.",
    "starters": "Questions to begin with",
    "new_chat": "New chat",
    "missing": "This conversation is not here any more. It may have been too long ago.",
    "no_model": "No model yet",
    "model": "Model",
    "loading_models": "Looking for models…",
    "theme": "Colours",
    "theme_system": "as the system",
    "theme_light": "light",
    "theme_dark": "dark",
    "shortcuts": "Keyboard shortcuts",
    "close": "Close",
    "connection": "Connection",
    "connecting": "Connecting…",
    "connected": "Connected",
    "reconnecting": "Reconnecting…",
    "disconnected": "Disconnected",
    "messages_per_second": "Messages per second",
    "average_latency": "Average latency",
    "reconnect_count": "Reconnects",
    "key_send": "Send",
    "key_newline": "New line",
    "key_stop": "Stop the answer",
    "key_edit": "In an empty box: edit the last message",
    "key_focus": "Go to the message box",
    "placeholder": "Ask me anything…",
    "send": "Send",
    "cancel": "Cancel",
    "editing": "Editing a message; what follows it will be asked anew",
    "offline_hint": "No connection: your text is kept and can be sent in a moment.",
    "too_long": "{over} characters too many; at most {limit} fit.",
    "disclaimer": "Answers may be wrong. Check what matters.",
    "settings": "Model settings",
    "system": "Instructions",
    "system_placeholder": "How the model should behave",
    "temperature": "Temperature",
    "max_tokens": "Longest answer (tokens)",
    "by_default": "Default",
}

_STARTERS: Mapping[str, tuple[str, str, str, str]] = {
    "en": (
        "Explain WebSockets as if I were ten",
        "Write a Python function that checks for palindromes",
        "Give me three ideas for a rainy weekend",
        "What makes a good question?",
    ),
    "de": (
        "Erkläre WebSockets, als wäre ich zehn",
        "Schreibe eine Python-Funktion, die Palindrome erkennt",
        "Nenne mir drei Ideen für ein Regenwochenende",
        "Was macht eine gute Frage aus?",
    ),
    "es": (
        "Explica los WebSockets como si tuviera diez años",
        "Escribe una función de Python que detecte palíndromos",
        "Dame tres ideas para un fin de semana lluvioso",
        "¿Qué hace buena a una pregunta?",
    ),
    "fr": (
        "Explique les WebSockets comme si j'avais dix ans",
        "Écris une fonction Python qui détecte les palindromes",
        "Donne-moi trois idées pour un week-end pluvieux",
        "Qu'est-ce qu'une bonne question ?",
    ),
    "zh": (
        "像对十岁孩子那样解释 WebSocket",
        "写一个判断回文的 Python 函数",
        "给我三个雨天周末的点子",
        "什么样的问题是好问题？",
    ),
    "ja": (
        "WebSocket を10歳の子どもに説明するように教えて",
        "回文を判定する Python の関数を書いて",
        "雨の週末の過ごし方を3つ提案して",
        "よい質問とはどんな質問ですか？",
    ),
    "ar": (
        "اشرح WebSocket كأنني في العاشرة",
        "اكتب دالة بايثون تكتشف الكلمات المتناظرة",
        "أعطني ثلاث أفكار لعطلة ممطرة",
        "ما الذي يجعل السؤال جيدًا؟",
    ),
}

_LANGUAGES: Mapping[str, Mapping[str, str]] = {
    "en": {},
    "de": {
        "conversation": "Unterhaltung", "question": "Du", "answer": "Antwort",
        "typing": "Die KI schreibt…", "waiting": "Wartet", "take_back": "zurücknehmen",
        "copy": "Kopieren", "copied": "Kopiert", "copy_code": "Code kopieren",
        "retry": "Neu fragen", "edit": "Bearbeiten", "stop": "Anhalten",
        "continue": "Weiter", "stopped": "Du hast diese Antwort angehalten.",
        "interrupted": "Diese Antwort wurde unterbrochen.", "error": "Etwas ging schief.",
        "try_again": "Noch einmal", "retry_in": "Neuer Versuch in {seconds} s",
        "new_text": "Neuer Text", "reasoning": "Überlegung", "reasoning_live": "Denkt nach…",
        "tool_running": "läuft", "tool_done": "fertig", "tool_failed": "gescheitert",
        "arguments": "Argumente", "result": "Ergebnis", "code_block": "Code",
        "open_image": "Bild öffnen",
        "tagline": "Frag, was du willst. Die Antwort läuft weiter, auch wenn du wegschaust.",
        "starters": "Fragen für den Anfang", "new_chat": "Neue Unterhaltung",
        "missing": "Diese Unterhaltung gibt es nicht mehr. Vielleicht ist sie zu lange her.",
        "no_model": "Noch kein Modell", "model": "Modell", "loading_models": "Suche Modelle…",
        "theme": "Farben", "theme_system": "wie das System", "theme_light": "hell",
        "theme_dark": "dunkel", "shortcuts": "Tastenkürzel", "close": "Schließen",
        "connection": "Verbindung", "connecting": "Verbindet…", "connected": "Verbunden",
        "reconnecting": "Verbindet neu…", "disconnected": "Getrennt",
        "messages_per_second": "Nachrichten je Sekunde", "average_latency": "Mittlere Latenz",
        "reconnect_count": "Neuverbindungen", "key_send": "Senden", "key_newline": "Neue Zeile",
        "key_stop": "Antwort anhalten",
        "key_edit": "Im leeren Feld: letzte Nachricht bearbeiten",
        "key_focus": "Zum Nachrichtenfeld", "placeholder": "Frag mich etwas…", "send": "Senden",
        "cancel": "Abbrechen",
        "editing": "Du bearbeitest eine Nachricht; was ihr folgt, wird neu gefragt",
        "offline_hint": "Keine Verbindung: Dein Text bleibt erhalten und geht gleich ab.",
        "too_long": "{over} Zeichen zu viel; höchstens {limit} passen.",
        "disclaimer": "Antworten können falsch sein. Prüfe, was wichtig ist.",
        "settings": "Modelleinstellungen", "system": "Anweisungen",
        "system_placeholder": "Wie das Modell sich verhalten soll", "temperature": "Temperatur",
        "max_tokens": "Längste Antwort (Tokens)", "by_default": "Vorgabe",
    },
    "es": {
        "conversation": "Conversación", "question": "Tú", "answer": "Respuesta",
        "typing": "La IA está escribiendo…", "waiting": "En espera", "take_back": "retirar",
        "copy": "Copiar", "copied": "Copiado", "copy_code": "Copiar código",
        "retry": "Preguntar de nuevo", "edit": "Editar", "stop": "Detener",
        "continue": "Continuar", "stopped": "Has detenido esta respuesta.",
        "interrupted": "Esta respuesta se interrumpió.", "error": "Algo ha ido mal.",
        "try_again": "Reintentar", "retry_in": "Se reintenta en {seconds} s",
        "new_text": "Texto nuevo", "reasoning": "Razonamiento", "reasoning_live": "Pensando…",
        "tool_running": "en curso", "tool_done": "hecho", "tool_failed": "fallido",
        "arguments": "Argumentos", "result": "Resultado", "code_block": "Código",
        "open_image": "Abrir imagen",
        "tagline": "Pregunta lo que quieras. La respuesta sigue aunque mires a otro lado.",
        "starters": "Preguntas para empezar", "new_chat": "Nueva conversación",
        "missing": "Esta conversación ya no está aquí. Quizá hace demasiado tiempo.",
        "no_model": "Aún no hay modelo", "model": "Modelo", "loading_models": "Buscando modelos…",
        "theme": "Colores", "theme_system": "como el sistema", "theme_light": "claro",
        "theme_dark": "oscuro", "shortcuts": "Atajos de teclado", "close": "Cerrar",
        "connection": "Conexión", "connecting": "Conectando…", "connected": "Conectado",
        "reconnecting": "Reconectando…", "disconnected": "Desconectado",
        "messages_per_second": "Mensajes por segundo", "average_latency": "Latencia media",
        "reconnect_count": "Reconexiones", "key_send": "Enviar", "key_newline": "Nueva línea",
        "key_stop": "Detener la respuesta",
        "key_edit": "Con el cuadro vacío: editar el último mensaje",
        "key_focus": "Ir al cuadro de mensaje", "placeholder": "Pregúntame lo que quieras…",
        "send": "Enviar", "cancel": "Cancelar",
        "editing": "Editas un mensaje; lo que sigue se preguntará de nuevo",
        "offline_hint": "Sin conexión: tu texto se conserva y podrás enviarlo enseguida.",
        "too_long": "Sobran {over} caracteres; caben {limit} como máximo.",
        "disclaimer": "Las respuestas pueden ser erróneas. Comprueba lo importante.",
        "settings": "Ajustes del modelo", "system": "Instrucciones",
        "system_placeholder": "Cómo debe comportarse el modelo", "temperature": "Temperatura",
        "max_tokens": "Respuesta más larga (tokens)", "by_default": "Por defecto",
    },
    "fr": {
        "conversation": "Conversation", "question": "Vous", "answer": "Réponse",
        "typing": "L'IA écrit…", "waiting": "En attente", "take_back": "reprendre",
        "copy": "Copier", "copied": "Copié", "copy_code": "Copier le code",
        "retry": "Redemander", "edit": "Modifier", "stop": "Arrêter",
        "continue": "Continuer", "stopped": "Vous avez arrêté cette réponse.",
        "interrupted": "Cette réponse a été interrompue.", "error": "Une erreur est survenue.",
        "try_again": "Réessayer", "retry_in": "Nouvel essai dans {seconds} s",
        "new_text": "Nouveau texte", "reasoning": "Raisonnement", "reasoning_live": "Réflexion…",
        "tool_running": "en cours", "tool_done": "terminé", "tool_failed": "échoué",
        "arguments": "Arguments", "result": "Résultat", "code_block": "Code",
        "open_image": "Ouvrir l'image",
        "tagline": "Posez vos questions. La réponse continue, même si vous regardez ailleurs.",
        "starters": "Questions pour commencer", "new_chat": "Nouvelle conversation",
        "missing": "Cette conversation n'est plus ici. Elle est peut-être trop ancienne.",
        "no_model": "Pas encore de modèle", "model": "Modèle",
        "loading_models": "Recherche de modèles…", "theme": "Couleurs",
        "theme_system": "comme le système", "theme_light": "clair", "theme_dark": "sombre",
        "shortcuts": "Raccourcis clavier", "close": "Fermer", "connection": "Connexion",
        "connecting": "Connexion…", "connected": "Connecté", "reconnecting": "Reconnexion…",
        "disconnected": "Déconnecté", "messages_per_second": "Messages par seconde",
        "average_latency": "Latence moyenne", "reconnect_count": "Reconnexions",
        "key_send": "Envoyer", "key_newline": "Nouvelle ligne",
        "key_stop": "Arrêter la réponse",
        "key_edit": "Zone vide : modifier le dernier message",
        "key_focus": "Aller à la zone de message", "placeholder": "Posez votre question…",
        "send": "Envoyer", "cancel": "Annuler",
        "editing": "Vous modifiez un message ; la suite sera redemandée",
        "offline_hint": "Pas de connexion : votre texte est gardé et pourra partir bientôt.",
        "too_long": "{over} caractères de trop ; {limit} au plus.",
        "disclaimer": "Les réponses peuvent être fausses. Vérifiez ce qui compte.",
        "settings": "Réglages du modèle", "system": "Consignes",
        "system_placeholder": "Comment le modèle doit se comporter",
        "temperature": "Température", "max_tokens": "Réponse la plus longue (tokens)",
        "by_default": "Par défaut",
    },
    "zh": {
        "conversation": "对话", "question": "你", "answer": "回答", "typing": "AI 正在输入…",
        "waiting": "等待中", "take_back": "撤回", "copy": "复制", "copied": "已复制",
        "copy_code": "复制代码", "retry": "重新提问", "edit": "编辑", "stop": "停止",
        "continue": "继续", "stopped": "你停止了这个回答。", "interrupted": "这个回答被中断了。",
        "error": "出了点问题。", "try_again": "重试", "retry_in": "{seconds} 秒后重试",
        "new_text": "新内容", "reasoning": "推理", "reasoning_live": "思考中…",
        "tool_running": "运行中", "tool_done": "完成", "tool_failed": "失败",
        "arguments": "参数", "result": "结果", "code_block": "代码", "open_image": "打开图片",
        "tagline": "尽管提问。即使你离开页面，回答也会继续。", "starters": "从这些问题开始",
        "new_chat": "新对话", "missing": "这个对话已经不在了，可能时间太久。",
        "no_model": "还没有模型", "model": "模型", "loading_models": "正在查找模型…",
        "theme": "配色", "theme_system": "跟随系统", "theme_light": "浅色", "theme_dark": "深色",
        "shortcuts": "键盘快捷键", "close": "关闭", "connection": "连接",
        "connecting": "正在连接…", "connected": "已连接", "reconnecting": "正在重新连接…",
        "disconnected": "已断开", "messages_per_second": "每秒消息数",
        "average_latency": "平均延迟", "reconnect_count": "重连次数", "key_send": "发送",
        "key_newline": "换行", "key_stop": "停止回答", "key_edit": "输入框为空时：编辑上一条消息",
        "key_focus": "转到输入框", "placeholder": "问我任何问题…", "send": "发送",
        "cancel": "取消", "editing": "正在编辑消息；其后的内容将重新提问",
        "offline_hint": "没有连接：你的文字已保留，稍后即可发送。",
        "too_long": "超出 {over} 个字符；最多 {limit} 个。",
        "disclaimer": "回答可能有误，重要内容请核实。", "settings": "模型设置",
        "system": "指令", "system_placeholder": "模型应如何表现", "temperature": "温度",
        "max_tokens": "最长回答（token）", "by_default": "默认",
    },
    "ja": {
        "conversation": "会話", "question": "あなた", "answer": "回答",
        "typing": "AI が入力中…", "waiting": "待機中", "take_back": "取り消す",
        "copy": "コピー", "copied": "コピーしました", "copy_code": "コードをコピー",
        "retry": "もう一度聞く", "edit": "編集", "stop": "停止", "continue": "続ける",
        "stopped": "この回答を停止しました。", "interrupted": "この回答は中断されました。",
        "error": "問題が発生しました。", "try_again": "再試行",
        "retry_in": "{seconds} 秒後に再試行", "new_text": "新しいテキスト",
        "reasoning": "推論", "reasoning_live": "考え中…", "tool_running": "実行中",
        "tool_done": "完了", "tool_failed": "失敗", "arguments": "引数", "result": "結果",
        "code_block": "コード", "open_image": "画像を開く",
        "tagline": "何でも聞いてください。目を離しても回答は続きます。",
        "starters": "はじめの質問", "new_chat": "新しい会話",
        "missing": "この会話はもうありません。時間がたちすぎたようです。",
        "no_model": "モデルがありません", "model": "モデル",
        "loading_models": "モデルを探しています…",
        "theme": "配色", "theme_system": "システムに従う", "theme_light": "ライト",
        "theme_dark": "ダーク", "shortcuts": "キーボードショートカット", "close": "閉じる",
        "connection": "接続", "connecting": "接続中…", "connected": "接続済み",
        "reconnecting": "再接続中…", "disconnected": "切断",
        "messages_per_second": "毎秒のメッセージ数", "average_latency": "平均遅延",
        "reconnect_count": "再接続回数", "key_send": "送信", "key_newline": "改行",
        "key_stop": "回答を停止", "key_edit": "空の入力欄で：直前のメッセージを編集",
        "key_focus": "入力欄へ移動", "placeholder": "何でも聞いてください…", "send": "送信",
        "cancel": "キャンセル", "editing": "メッセージを編集中。以降は聞き直します",
        "offline_hint": "接続がありません。テキストは保存され、まもなく送信できます。",
        "too_long": "{over} 文字超過。最大 {limit} 文字です。",
        "disclaimer": "回答は誤ることがあります。大事なことは確認してください。",
        "settings": "モデルの設定", "system": "指示",
        "system_placeholder": "モデルにどう振る舞ってほしいか", "temperature": "温度",
        "max_tokens": "最長の回答（トークン）", "by_default": "既定",
    },
    "ar": {
        "conversation": "محادثة", "question": "أنت", "answer": "إجابة",
        "typing": "الذكاء الاصطناعي يكتب…", "waiting": "في الانتظار", "take_back": "سحب",
        "copy": "نسخ", "copied": "تم النسخ", "copy_code": "نسخ الشيفرة",
        "retry": "اسأل من جديد", "edit": "تحرير", "stop": "إيقاف", "continue": "متابعة",
        "stopped": "أوقفت هذه الإجابة.", "interrupted": "انقطعت هذه الإجابة.",
        "error": "حدث خطأ ما.", "try_again": "إعادة المحاولة",
        "retry_in": "إعادة المحاولة بعد {seconds} ث", "new_text": "نص جديد",
        "reasoning": "التفكير", "reasoning_live": "يفكر…", "tool_running": "قيد التنفيذ",
        "tool_done": "تم", "tool_failed": "فشل", "arguments": "المعطيات", "result": "النتيجة",
        "code_block": "شيفرة", "open_image": "فتح الصورة",
        "tagline": "اسأل ما تشاء. تستمر الإجابة حتى لو ابتعدت.",
        "starters": "أسئلة للبداية", "new_chat": "محادثة جديدة",
        "missing": "لم تعد هذه المحادثة هنا، ربما مضى عليها وقت طويل.",
        "no_model": "لا يوجد نموذج بعد", "model": "النموذج",
        "loading_models": "جارٍ البحث عن النماذج…", "theme": "الألوان",
        "theme_system": "مثل النظام", "theme_light": "فاتح", "theme_dark": "داكن",
        "shortcuts": "اختصارات لوحة المفاتيح", "close": "إغلاق", "connection": "الاتصال",
        "connecting": "جارٍ الاتصال…", "connected": "متصل", "reconnecting": "إعادة الاتصال…",
        "disconnected": "غير متصل", "messages_per_second": "رسائل في الثانية",
        "average_latency": "متوسط التأخير", "reconnect_count": "مرات إعادة الاتصال",
        "key_send": "إرسال", "key_newline": "سطر جديد", "key_stop": "إيقاف الإجابة",
        "key_edit": "في مربع فارغ: تحرير آخر رسالة", "key_focus": "إلى مربع الرسالة",
        "placeholder": "اسألني أي شيء…", "send": "إرسال", "cancel": "إلغاء",
        "editing": "تحرّر رسالة؛ سيُسأل ما بعدها من جديد",
        "offline_hint": "لا اتصال: نصك محفوظ ويمكن إرساله بعد قليل.",
        "too_long": "{over} محرفًا زائدًا؛ الحد {limit}.",
        "disclaimer": "قد تكون الإجابات خاطئة. تحقق مما يهم.",
        "settings": "إعدادات النموذج", "system": "تعليمات",
        "system_placeholder": "كيف ينبغي أن يتصرف النموذج", "temperature": "الحرارة",
        "max_tokens": "أطول إجابة (رموز)", "by_default": "افتراضي",
    },
}  # fmt: skip


def language_of(accept: str) -> str:
    """Return the language that an ``Accept-Language`` header wants most, of those we have.

    >>> language_of("pt-BR,de-AT;q=0.8,en;q=0.9")
    'en'
    """
    wanted: list[tuple[float, int, str]] = []
    for place, item in enumerate(accept[:500].split(",")):
        name, _, quality = item.partition(";q=")
        language = name.strip().lower().partition("-")[0]
        if language in _LANGUAGES:
            wanted.append((-_quality(quality), place, language))
    return min(wanted)[2] if wanted else "en"


def words_in(language: str) -> dict[str, str]:
    """Return all words in ``language``."""
    return {**ENGLISH, **_LANGUAGES.get(language, {})}


def starters_in(language: str) -> tuple[str, ...]:
    """Return four questions to begin with."""
    return _STARTERS.get(language, _STARTERS["en"])


def direction_of(language: str) -> str:
    """Return ``ltr`` or ``rtl``."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def _quality(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0
