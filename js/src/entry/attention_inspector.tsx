import { Inspector } from "../views/inspector/inspector";
import { widget } from "./mount";

export default widget(Inspector, "Attention inspector");
